-- The whole schema, as the migrations leave it (a test holds the two equal). `@identity` is the engine's way to number
-- rows (see migrations.ts); times are ISO 8601 text in UTC with offset, columns ending in _ms are milliseconds since
-- 1970; flags are 0 or 1; objects are JSON text.

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
  inventory TEXT,
  chassis_uuid TEXT REFERENCES chassis (uuid),
  -- A list of texts.
  traits TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX nodes_provision_state ON nodes (provision_state);
CREATE INDEX nodes_lease_holder ON nodes (lease_holder);
CREATE INDEX nodes_chassis_uuid ON nodes (chassis_uuid);

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
  heartbeats BIGINT NOT NULL DEFAULT 0,
  -- Address that the first look-up of this boot came from; to it the token is repeated until a heartbeat has brought it.
  token_told_to TEXT
);

-- What is read from a node's BMC now and then, whoever works on the node; any conductor takes what is due.
CREATE TABLE watches (
  node_uuid TEXT PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
  due_ms BIGINT NOT NULL,
  -- Reads in a row that failed, or told another power state than the node's.
  failures INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX watches_due ON watches (due_ms);

-- What a node's BMC measured last, for metrics; whoever works on the node.
CREATE TABLE sensors (
  node_uuid TEXT PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
  -- When to read next; any conductor of the node's group takes what is due.
  due_ms BIGINT NOT NULL,
  -- When it was read last, and what was found: by type and name. NULL: never yet.
  read_at_ms BIGINT,
  data TEXT,
  -- Why the last read failed; NULL when it did not.
  error TEXT
);
CREATE INDEX sensors_due ON sensors (due_ms);

-- What an inspection that runs has found so far; the row goes when the inspection ends.
CREATE TABLE inspections (
  node_uuid TEXT PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
  -- When it came.
  found_at TEXT NOT NULL,
  -- {inventory, plugin_data}: as a ramdisk posted it, and then as the hooks left it.
  data TEXT NOT NULL,
  -- 1: the inspection has begun to work on it, and nothing that comes later counts.
  taken INTEGER NOT NULL DEFAULT 0,
  -- What the inspection rules change, until it is written. NULL: they have not run.
  outcome TEXT
);

-- What ramdisks told of their boots while they ran, in the pieces in which it came; the newest boots of each node.
CREATE TABLE ramdisk_logs (
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  -- The kernel's name of the boot.
  boot_id TEXT NOT NULL,
  -- Counted from 0 by the ramdisk. Where pieces are missing the middle of a log that was too long is gone.
  piece INTEGER NOT NULL,
  came_at TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (node_uuid, boot_id, piece)
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
  -- What it waits for, which events wake it (comma separated), when to look next (0: now), when it
  -- gives up.
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
  ended_at TEXT,
  -- The conductor that is to run it; NULL: whichever serves the node.
  conductor TEXT,
  -- Of the lease that was taken for it when it was asked for.
  lease_token BIGINT,
  -- The project that the request came from, beside the user.
  requested_project TEXT
);
CREATE INDEX flows_conductor ON flows (conductor, state, wake_at_ms);
CREATE INDEX flows_node_uuid ON flows (node_uuid, state);
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

-- How long phases of runs took that ended well, by model of machine and kind of run: what estimates rest on.
CREATE TABLE phase_times (
  model TEXT NOT NULL,
  -- Of the flow.
  kind TEXT NOT NULL,
  phase TEXT NOT NULL,
  -- The first phase of that name in a run is 1. Phase "run", occurrence 0: the whole.
  occurrence INTEGER NOT NULL,
  -- Of the last runs, the newest last: [[seconds, seconds from its end to that of the run, bytes or null], ...].
  samples TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (model, kind, phase, occurrence)
);

-- Where events are delivered to, and how far that is: one process delivers at a time, any may go on.
CREATE TABLE event_sinks (
  name TEXT PRIMARY KEY,
  -- Number of the last event that was delivered, or was not to be.
  position BIGINT NOT NULL,
  -- Who delivers, and until when nobody else does.
  holder TEXT,
  until_ms BIGINT NOT NULL DEFAULT 0,
  -- Deliveries in a row that failed, and when the next is tried.
  failures INTEGER NOT NULL DEFAULT 0,
  retry_at_ms BIGINT NOT NULL DEFAULT 0
);

-- Places for work of which only so much may run at a time: who asked for one, and who has one.
CREATE TABLE admissions (
  flow_id BIGINT PRIMARY KEY REFERENCES flows (id) ON DELETE CASCADE,
  -- Works of one kind share the places: deploy, clean.
  kind TEXT NOT NULL,
  -- Whose share it counts against: the node's lessee or owner; empty: nobody's.
  project TEXT NOT NULL,
  conductor_group TEXT NOT NULL,
  asked_at_ms BIGINT NOT NULL,
  -- NULL: waits.
  admitted_at_ms BIGINT,
  -- Place in the queue as last told, 1 is the next.
  position BIGINT
);
CREATE INDEX admissions_kind ON admissions (kind, admitted_at_ms);

-- Whoever hands out places does so alone: changing the row makes others wait for the end of the transaction.
CREATE TABLE turnstiles (
  -- The kind of work.
  name TEXT PRIMARY KEY,
  passed_at_ms BIGINT NOT NULL
);

-- The processes that work on nodes.
CREATE TABLE conductors (
  hostname TEXT PRIMARY KEY,
  conductor_group TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  online INTEGER NOT NULL,
  -- One life of the process: another one with every start.
  incarnation TEXT NOT NULL DEFAULT ''
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

-- A wish for a node: which kind, and which node was found for it.
CREATE TABLE allocations (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT UNIQUE,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  extra TEXT NOT NULL,
  resource_class TEXT,
  traits TEXT NOT NULL,
  -- UUIDs of nodes, in the order given; empty: any node.
  candidate_nodes TEXT NOT NULL,
  -- Set together with the node's instance_uuid; the row goes when that is taken off the node again.
  node_uuid TEXT UNIQUE REFERENCES nodes (uuid) ON DELETE CASCADE,
  -- allocating: a conductor searches, or will after its start; active: node_uuid has it; error: see last_error.
  state TEXT NOT NULL,
  last_error TEXT,
  owner TEXT
);
CREATE INDEX allocations_state ON allocations (state);

-- BIOS settings of a node as its driver last read them.
CREATE TABLE bios_settings (
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  -- What the firmware's registry says of the setting; NULL where it has none.
  attribute_type TEXT,
  allowable_values TEXT,
  lower_bound BIGINT,
  upper_bound BIGINT,
  min_length INTEGER,
  max_length INTEGER,
  read_only INTEGER,
  reset_required INTEGER,
  "unique" INTEGER,
  PRIMARY KEY (node_uuid, name)
);

-- Firmware of a node's components as its driver last read it.
CREATE TABLE firmware_components (
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  component TEXT NOT NULL,
  initial_version TEXT NOT NULL,
  current_version TEXT,
  last_version_flashed TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  vendor TEXT,
  model TEXT,
  serial_number TEXT,
  PRIMARY KEY (node_uuid, component)
);

-- Where nodes stand.
CREATE TABLE chassis (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  description TEXT,
  extra TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT
);

-- Ports of a node that act as one.
CREATE TABLE portgroups (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  address TEXT UNIQUE,
  name TEXT UNIQUE,
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  extra TEXT NOT NULL,
  internal_info TEXT NOT NULL,
  standalone_ports_supported INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  mode TEXT,
  properties TEXT NOT NULL,
  physical_network TEXT,
  category TEXT,
  dynamic_portgroup INTEGER NOT NULL
);
CREATE INDEX portgroups_node_uuid ON portgroups (node_uuid);
CREATE INDEX ports_portgroup_uuid ON ports (portgroup_uuid);

-- By what a node reaches remote volumes.
CREATE TABLE volume_connectors (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  type TEXT NOT NULL,
  connector_id TEXT NOT NULL,
  extra TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  UNIQUE (type, connector_id)
);
CREATE INDEX volume_connectors_node_uuid ON volume_connectors (node_uuid);

-- Remote volumes of a node; boot_index 0 is the one it boots from.
CREATE TABLE volume_targets (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  volume_type TEXT NOT NULL,
  boot_index BIGINT NOT NULL,
  volume_id TEXT NOT NULL,
  properties TEXT NOT NULL,
  extra TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  UNIQUE (node_uuid, boot_index)
);

-- Deploy steps that the trait of the same name brings along.
CREATE TABLE deploy_templates (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  -- Stored and never shown.
  description TEXT,
  steps TEXT NOT NULL,
  extra TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT
);

-- Steps under a name, for cleaning and servicing.
CREATE TABLE runbooks (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  description TEXT,
  steps TEXT NOT NULL,
  disable_ramdisk INTEGER NOT NULL,
  extra TEXT NOT NULL,
  public INTEGER NOT NULL,
  owner TEXT,
  traits TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT
);

-- What an inspection does with what it found.
CREATE TABLE inspection_rules (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  description TEXT,
  priority INTEGER NOT NULL,
  phase TEXT NOT NULL,
  sensitive INTEGER NOT NULL,
  conditions TEXT NOT NULL,
  actions TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT
);
