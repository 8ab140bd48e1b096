-- What runs next is found by one look into an index, however many flows wait; a woken flow is due at 0.
DROP INDEX flows_conductor;
DROP INDEX flows_node_uuid;
CREATE INDEX flows_conductor ON flows (conductor, state, wake_at_ms);
CREATE INDEX flows_node_uuid ON flows (node_uuid, state);
UPDATE flows SET wake_at_ms = 0 WHERE state = 'waiting' AND woken = 1;
