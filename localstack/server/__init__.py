"""The process behind a cloud's endpoints: background work, faults and the emulator's own API."""
