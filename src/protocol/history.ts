/** An entry of a node's history. Source: REST API reference, "BIOS, firmware, inventory, history, children". */
import { Type } from 'typebox'
import { fields, Nullable, Time, Uuid } from './field.ts'
import { Link } from './node.ts'

export const historyFields = fields({
  uuid: { schema: Uuid, from: '1.78', sort: true },
  created_at: { schema: Time, from: '1.78', sort: true },
  severity: { schema: Type.Enum(['ERROR', 'INFO']), from: '1.78' },
  event: { schema: Type.String(), from: '1.78', doc: 'what happened; cut in the short list' },
  links: { schema: Type.Array(Link), from: '1.78' },
  event_type: { schema: Type.String(), from: '1.78' },
  conductor: { schema: Nullable(Type.String()), from: '1.78' },
  user: { schema: Nullable(Type.String()), from: '1.78', doc: 'who asked for it' },
  project: { schema: Nullable(Type.String()), from: '1.113' },
  state: { schema: Nullable(Type.String()), from: '1.115', doc: 'provision state at the time' },
  target_provision_state: { schema: Nullable(Type.String()), from: '1.115' },
  duration_seconds: { schema: Nullable(Type.Integer()), from: '1.115' },
})
