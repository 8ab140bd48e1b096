import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderTemplate } from './template.ts'

const scope = { o: { url: 'http://h/i', empty: '', n: 3, list: ['a', 'b'], 'a-b': 1 }, name: "it's" }

const rows: [template: string, expected: string][] = [
  ['plain { text } %', 'plain { text } %'],
  ['{{ o.url }}{{o["a-b"]}}', 'http://h/i1'],
  ['{# gone #}x', 'x'],
  ['{% raw %}{{ o.url }}{% endraw %}', '{{ o.url }}'],
  ['a\n  {%- if o.n == 3 -%}\n  b\n{%- endif %}\nc', 'ab\nc'],
  ["{% if 'url' in o %}yes{% else %}no{% endif %}", 'yes'],
  ["{% if 'gone' in o -%} yes {% elif o.n > 2 and not o.empty %}two{% else %}no{% endif %}", 'two'],
  ["{{ 'x' if 'gone' not in o else 'y' }}{{ o.gone | default('d') }}", 'xd'],
  ['{% for each in o.list %}[{{ each | upper }}]{% endfor %}', '[A][B]'],
  ['{% set x = o.n + 1 %}{{ x }} {{ o.list | join(", ") }} {{ o.list | length }}', '4 a, b 2'],
  ['{% if o.gone is defined or o.gone is none %}1{% else %}2{% endif %}', '2'],
  ["{{ name ~ '\\n' }}{{ [1, 'b'] | tojson }}{{ 'aXa' | replace('a', '$&') }}", 'it\'s\n[1,"b"]$&X$&'],
  ['{{ True }} {{ none }} {{ o.empty or "else" }}', 'True None else'],
  ['last line\n', 'last line'],
]
for (const [template, expected] of rows) {
  test(JSON.stringify(template), () => assert.equal(renderTemplate(template, scope), expected))
}

const wrong: [template: string, expected: RegExp][] = [
  ['a\nb {{ o.gone }}', /^line 2: there is no variable o\.gone; expected one of o\.url, o\.empty,/],
  ['{{ constructor }}{{ o.constructor }}', /no variable constructor/],
  ['{{ o.url.constructor }}', /no variable o\.url\.constructor/],
  ['{% if gone %}{% endif %}', /no variable gone/],
  ['x\n\n{% if o.n %}', /^line 3: "\{% if o\.n %\}" has no endif/],
  ['{% endif %}', /no statement "\{% endif %\}"/],
  ['{% include "/etc/passwd" %}', /no statement/],
  ['{{ o.url() }}', /cannot read the expression "o\.url\(\)"/],
  ['{{ o.url | shell }}', /no filter shell; expected default, /],
  ['text {{ o.url', /"\{\{" is never closed/],
  ['{{ 1 + }}', /cannot read/],
]
for (const [template, expected] of wrong) {
  test(`${JSON.stringify(template)} is refused`, () => {
    assert.throws(() => renderTemplate(template, scope), { name: 'TemplateWrong', message: expected })
  })
}
