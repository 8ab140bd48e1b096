-- The first tables. `@identity` is the engine's way to number rows (see migrations.ts); times are ISO 8601 text in UTC
-- with offset, columns ending in _ms are milliseconds since 1970; flags are 0 or 1; objects are JSON text.

-- A machine. Everything but id, the lease and inventory is a field of the API.
CREATE TABLE nodes (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT UNIQUE,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  driver TEXT NOT NULL,
  driver_info TEXT NOT NULL,
  driver_internal_info TEXT NOT NULL,
  properties TEXT NOT NULL,
  instance_info TEXT NOT NULL,
  extra TEXT NOT NULL,
  instance_uuid TEXT UNIQUE,
  instance_name TEXT,
  power_state TEXT,
  target_power_state TEXT,
  provision_state TEXT NOT NULL,
  target_provision_state TEXT,
  provision_updated_at TEXT,
  last_error TEXT,
  reservation TEXT,
  maintenance INTEGER NOT NULL,
  maintenance_reason TEXT,
  fault TEXT,
  console_enabled INTEGER NOT NULL,
  inspection_started_at TEXT,
  inspection_finished_at TEXT,
  clean_step TEXT NOT NULL,
  deploy_step TEXT NOT NULL,
  service_step TEXT NOT NULL,
  raid_config TEXT NOT NULL,
  target_raid_config TEXT NOT NULL,
  network_interface TEXT,
  resource_class TEXT,
  boot_interface TEXT,
  console_interface TEXT,
  deploy_interface TEXT,
  inspect_interface TEXT,
  management_interface TEXT,
  power_interface TEXT,
  raid_interface TEXT,
  vendor_interface TEXT,
  storage_interface TEXT,
  rescue_interface TEXT,
  bios_interface TEXT,
  firmware_interface TEXT,
  conductor_group TEXT NOT NULL,
  automated_clean INTEGER,
  protected INTEGER NOT NULL,
  protected_reason TEXT,
  owner TEXT,
  lessee TEXT,
  description TEXT,
  retired INTEGER NOT NULL,
  retired_reason TEXT,
  network_data TEXT NOT NULL,
  boot_mode TEXT,
  secure_boot INTEGER,
  shard TEXT,
  parent_node TEXT,
  disable_power_off INTEGER NOT NULL,
  health TEXT,
  -- Who works on the node (host name of a conductor), for what, since when, until when. NULL: nobody.
  lease_holder TEXT,
  lease_purpose TEXT,
  lease_since TEXT,
  lease_until_ms BIGINT,
  -- Grows with every change of hands; a write that carries an old one changes nothing.
  lease_token BIGINT NOT NULL DEFAULT 0,
  -- What the last inspection found: {inventory, plugin_data}. NULL: never inspected.
  inventory TEXT
);
CREATE INDEX nodes_provision_state ON nodes (provision_state);
CREATE INDEX nodes_lease_holder ON nodes (lease_holder);

-- A network interface of a node, known by its MAC address (lower case).
CREATE TABLE ports (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  address TEXT NOT NULL UNIQUE,
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  extra TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  internal_info TEXT NOT NULL,
  local_link_connection TEXT NOT NULL,
  pxe_enabled INTEGER NOT NULL,
  portgroup_uuid TEXT,
  physical_network TEXT,
  is_smartnic INTEGER NOT NULL,
  name TEXT UNIQUE,
  description TEXT,
  vendor TEXT,
  category TEXT,
  available_for_dynamic_portgroup INTEGER NOT NULL
);
CREATE INDEX ports_node_uuid ON ports (node_uuid);

-- What the agent in a node's ramdisk told of itself. Heartbeats write here and nowhere else, without any lease.
CREATE TABLE agents (
  node_uuid TEXT PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
  -- Base of its command API; NULL after every power cycle until it calls again.
  url TEXT,
  version TEXT,
  -- PEM of the certificate it serves; pinned.
  verify_ca TEXT,
  -- Secret shared with it; NULL until the first look-up.
  token TEXT,
  token_pregenerated INTEGER NOT NULL DEFAULT 0,
  status TEXT,
  status_message TEXT,
  heartbeat_at TEXT,
  -- Heartbeats accepted since the URL became known.
  heartbeats BIGINT NOT NULL DEFAULT 0
);

-- Work on a node: what was asked, by whom, and where it stands.
CREATE TABLE flows (
  id @identity,
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  -- Name of the recorded function that does it: deploy, clean, inspect ...
  kind TEXT NOT NULL,
  args TEXT NOT NULL,
  requested_by TEXT,
  request_id TEXT,
  -- ready: to be run now; running: a process does; waiting: see wait_name; done, failed, aborted: ended.
  state TEXT NOT NULL,
  -- run, or undo once it has failed or was aborted.
  phase TEXT NOT NULL,
  abort_requested INTEGER NOT NULL DEFAULT 0,
  -- What it waits for, which events wake it (comma separated), when to look next, when it gives up.
  wait_name TEXT,
  wait_on TEXT,
  wake_at_ms BIGINT,
  deadline_ms BIGINT,
  woken INTEGER NOT NULL DEFAULT 0,
  -- {step, phase, bytes, total_bytes, rate_bytes_per_s, eta_s, updated_at} of what runs now.
  progress TEXT,
  error TEXT,
  error_code TEXT,
  started_at TEXT NOT NULL,
  ended_at TEXT
);
CREATE INDEX flows_node_uuid ON flows (node_uuid);
CREATE INDEX flows_state ON flows (state);

-- The record of a flow's steps. A finished step answers from here when the flow runs again from the top.
CREATE TABLE flow_steps (
  flow_id BIGINT NOT NULL REFERENCES flows (id) ON DELETE CASCADE,
  -- undo/... while undoing. Names are stored: renaming one in the code is a migration.
  name TEXT NOT NULL,
  seq INTEGER NOT NULL,
  -- started (a wait that has not ended), done.
  state TEXT NOT NULL,
  result TEXT,
  deadline_ms BIGINT,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  PRIMARY KEY (flow_id, name)
);

-- What happened, append-only. History, event stream, audit and metrics are views of it.
CREATE TABLE events (
  id @identity,
  at TEXT NOT NULL,
  node_uuid TEXT,
  flow_id BIGINT,
  kind TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX events_node_uuid ON events (node_uuid, id);

-- The processes that work on nodes.
CREATE TABLE conductors (
  hostname TEXT PRIMARY KEY,
  conductor_group TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  online INTEGER NOT NULL
);

-- What each of them can drive.
CREATE TABLE conductor_interfaces (
  hostname TEXT NOT NULL REFERENCES conductors (hostname) ON DELETE CASCADE,
  hardware_type TEXT NOT NULL,
  interface_type TEXT NOT NULL,
  interface_name TEXT NOT NULL,
  is_default INTEGER NOT NULL,
  PRIMARY KEY (hostname, hardware_type, interface_type, interface_name)
);
