/**
 * Which values a BMC admits for a parameter of an action: beside the action, or in the resource that describes it.
 * Source: DMTF DSP0266, "Allowable values", "Action info annotation".
 */
import { Type } from 'typebox'
import { type RedfishClient, reader } from './client.ts'

const actionInfo = reader(
  'action info',
  Type.Object({
    Parameters: Type.Optional(
      Type.Array(
        Type.Object({
          Name: Type.Optional(Type.String()),
          AllowableValues: Type.Optional(Type.Array(Type.String())),
        }),
      ),
    ),
  }),
)

/** An action as the resource that has it shows it. */
export interface ShownAction {
  readonly '@Redfish.ActionInfo'?: string | null | undefined
}

/** Null when the BMC does not say. */
export async function allowableValues(
  client: RedfishClient,
  action: ShownAction | null | undefined,
  parameter: string,
  signal: AbortSignal,
): Promise<readonly string[] | null> {
  const annotation: unknown = Object.entries(action ?? {}).find(
    ([name]) => name === `${parameter}@Redfish.AllowableValues`,
  )?.[1]
  if (Array.isArray(annotation)) return annotation.filter(value => typeof value === 'string')
  const info = action?.['@Redfish.ActionInfo']
  if (!info) return null
  const { resource } = await client.get(info, actionInfo, { signal })
  return resource.Parameters?.find(({ Name }) => Name === parameter)?.AllowableValues ?? null
}
