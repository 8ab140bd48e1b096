/** Where images come from and go to: [glance], [swift], [oci], [nfs], [cifs]. */
import { boolean, booleanOrPath, choice, integer, list, path, string, url } from '../kinds.ts'
import { authOptions, inEffect, loginOptions, reachOptions } from './auth.ts'

export const glance = {
  ...inEffect(authOptions('image'), [...loginOptions, ...reachOptions]),
  allowed_direct_url_schemes: list({
    default: [],
    help: 'Schemes of direct URLs that images may be copied from; only file is known.',
  }),
  swift_temp_url_key: string({
    default: null,
    secret: true,
    effective: true,
    help: "Key of temporary URLs. Unset: read from the account's metadata.",
  }),
  swift_temp_url_duration: integer({
    default: 1200,
    min: 1,
    effective: true,
    help: 'Seconds a temporary URL is valid.',
  }),
  swift_temp_url_cache_enabled: boolean({
    default: false,
    effective: true,
    help: 'Hand out the same temporary URL until it is too old, so that a caching proxy helps.',
  }),
  swift_temp_url_expected_download_start_delay: integer({
    default: 0,
    min: 0,
    effective: true,
    help: 'Seconds a temporary URL must still be valid when it is handed out; about the time a ramdisk boots.',
  }),
  swift_endpoint_url: url({ default: null, effective: true, help: "Swift's URL. Unset: from the catalog." }),
  swift_api_version: string({ default: 'v1', effective: true, help: 'Version in the path of temporary URLs.' }),
  swift_account: string({ default: null, effective: true, help: 'Account of images. Unset: prefix and project.' }),
  swift_account_prefix: string({ default: 'AUTH', effective: true, help: 'Prefix of that account.' }),
  swift_container: string({ default: 'glance', effective: true, help: 'Container of images.' }),
  swift_store_multiple_containers_seed: integer({
    default: 0,
    min: 0,
    max: 32,
    effective: true,
    help: "Characters of an image's ID in the name of its container.",
  }),
  num_retries: integer({
    default: 0,
    min: 0,
    mutable: true,
    effective: true,
    help: 'How often Glance is asked again, a second apart, when the connection fails.',
  }),
}

export const swift = inEffect(authOptions('object-store'), [...loginOptions, ...reachOptions])

export const oci = {
  secure_cdn_registries: list({
    default: ['registry.redhat.io', 'registry.access.redhat.com', 'docker.io', 'registry-1.docker.io'],
    effective: true,
    help: 'Registries whose redirects may carry the credentials on.',
  }),
  authentication_config: path({
    default: null,
    mutable: true,
    effective: true,
    help: 'Credentials of registries, in the form of a docker config.json.',
  }),
  permit_fallback_to_http_transport: boolean({
    default: false,
    effective: true,
    help: 'Try http where a registry speaks no TLS.',
  }),
  verify_ca: booleanOrPath({
    default: null,
    mutable: true,
    effective: true,
    help: 'Check the certificates of registries: true, false, or a file with CA certificates.',
  }),
}

export const nfs = {
  base_url: string({
    default: null,
    effective: true,
    help:
      'Address under which BMCs reach share_path, nfs://HOST/EXPORT or HOST:/EXPORT, for nodes whose ' +
      'vmedia_transport_protocol is NFS. Without a path share_path is taken for it.',
  }),
  share_path: path({
    default: null,
    effective: true,
    help: 'Directory that is exported or mounted from there; images for virtual media are put into it.',
  }),
}

export const cifs = {
  base_url: string({
    default: null,
    effective: true,
    help:
      'Address under which BMCs reach share_path, cifs://HOST/SHARE, smb://HOST/SHARE or //HOST/SHARE, for nodes whose ' +
      'vmedia_transport_protocol is CIFS. Without a path share_path is taken for it.',
  }),
  share_path: path({
    default: null,
    effective: true,
    help: 'Directory that is shared or mounted from there; images for virtual media are put into it.',
  }),
  username: string({ default: null, effective: true, help: 'User that BMCs log in with at the share. Unset: none.' }),
  password: string({ default: null, secret: true, effective: true, help: 'Password of that user.' }),
}

export const inventory = {
  data_backend: choice({
    choices: ['none', 'database', 'swift'],
    default: 'database',
    effective: true,
    help: 'Where inspection data is kept.',
  }),
  swift_data_container: string({
    default: 'introspection_data_container',
    effective: true,
    help: 'Swift container of inspection data.',
  }),
}
