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
