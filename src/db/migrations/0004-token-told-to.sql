-- Address that the first look-up of this boot came from; to it the token is repeated until a heartbeat has brought it.
ALTER TABLE agents ADD COLUMN token_told_to TEXT;
