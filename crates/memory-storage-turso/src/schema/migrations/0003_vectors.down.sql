DROP TABLE vectors;
DELETE FROM meta WHERE key = 'embeddings';
