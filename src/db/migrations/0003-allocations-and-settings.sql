CREATE TABLE allocations (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT UNIQUE,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  extra TEXT NOT NULL,
  resource_class TEXT,
  traits TEXT NOT NULL,
  candidate_nodes TEXT NOT NULL,
  node_uuid TEXT UNIQUE REFERENCES nodes (uuid) ON DELETE CASCADE,
  state TEXT NOT NULL,
  last_error TEXT,
  owner TEXT
);
CREATE INDEX allocations_state ON allocations (state);

CREATE TABLE bios_settings (
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT,
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
