//! The checksummed header in front of every stored payload.
