-- Who of several conductors does what.
-- One life of the process: another one with every start.
ALTER TABLE conductors ADD COLUMN incarnation TEXT NOT NULL DEFAULT '';

-- The conductor that is to run it; NULL: whichever serves the node.
ALTER TABLE flows ADD COLUMN conductor TEXT;
-- Of the lease that was taken for it when it was asked for.
ALTER TABLE flows ADD COLUMN lease_token BIGINT;
CREATE INDEX flows_conductor ON flows (conductor, state);
