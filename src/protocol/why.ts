/** Why a node is where it is: the answer of `GET /v1/nodes/{node}/why`, which is Ferrite's own. */
import { type Static, Type } from 'typebox'

const Lines = Type.Array(Type.String())

export const Explanation = Type.Object({
  node_uuid: Type.String(),
  provision_state: Type.Union([Type.String(), Type.Null()]),
  /** `fine`: nothing is wrong and nothing is waited for; `waiting`: no more than patience is needed; else `failed`. */
  verdict: Type.Union([Type.Literal('fine'), Type.Literal('waiting'), Type.Literal('failed')]),
  /** A name for the cause that programs can count on: a code of an error, or the first missing hop of a boot. */
  cause: Type.String(),
  /** What is so, in a sentence. */
  summary: Type.String(),
  /** What was seen that says so, the most telling first. */
  evidence: Lines,
  /** What to do, the most promising first. */
  actions: Lines,
})
export type Explanation = Static<typeof Explanation>
