/** Secure boot of an emulated server: switched for the next start, keys that come and go. Source: DMTF DSP2046, SecureBoot. */
import { RedfishError } from '../messages.ts'
import { resource, SYSTEM } from '../resources.ts'
import { at, noContent, parameters, type Route } from '../routes.ts'

const SECURE_BOOT = `${SYSTEM}/SecureBoot`
const resetKeys = ['ResetAllKeysToDefault', 'DeleteAllKeys', 'DeletePK'] as const

export class SecureBoot {
  wanted = false
  current = false
  keys: 'none' | 'default' = 'default'

  onReset(): void {
    this.current = this.wanted && this.keys === 'default'
  }

  get routes(): Route[] {
    const action = 'SecureBoot.ResetKeys'
    return [
      {
        path: at(SECURE_BOOT),
        get: () =>
          resource(SECURE_BOOT, 'SecureBoot.v1_1_0.SecureBoot', 'UEFI secure boot', {
            SecureBootEnable: this.wanted,
            SecureBootCurrentBoot: this.current ? 'Enabled' : 'Disabled',
            SecureBootMode: this.keys === 'none' ? 'SetupMode' : 'UserMode',
            Actions: {
              [`#${action}`]: {
                target: `${SECURE_BOOT}/Actions/${action}`,
                'ResetKeysType@Redfish.AllowableValues': [...resetKeys],
              },
            },
          }),
        patch: ({ body }) => {
          const { SecureBootEnable: wanted, ...rest } = body
          const [unknown] = Object.keys(rest)
          if (unknown !== undefined) throw new RedfishError('PropertyUnknown', unknown)
          if (typeof wanted !== 'boolean') {
            throw new RedfishError(
              'PropertyValueTypeError',
              JSON.stringify(wanted ?? null),
              'SecureBootEnable',
              'true or false',
            )
          }
          this.wanted = wanted
        },
      },
      {
        path: at(`${SECURE_BOOT}/Actions/${action}`),
        post: ({ body }) => {
          const { ResetKeysType: type } = parameters(action, body, ['ResetKeysType'])
          if (!resetKeys.some(one => one === type)) {
            throw new RedfishError(
              'ActionParameterValueNotInList',
              `${type}`,
              'ResetKeysType',
              action,
              resetKeys.join(', '),
            )
          }
          this.keys = type === 'ResetAllKeysToDefault' ? 'default' : 'none'
          return noContent()
        },
      },
    ]
  }
}
