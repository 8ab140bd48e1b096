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
