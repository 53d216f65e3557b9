// Preloaded into a process under test: on SIGUSR2 its connections to Redis end, as by a fault of the client.
import { Redis } from 'ioredis';

const connections = new Set();
const { connect } = Redis.prototype;
Redis.prototype.connect = function (...args) {
  connections.add(this);
  return connect.apply(this, args);
};
process.on('SIGUSR2', () => {
  for (const redis of connections) redis.disconnect();
});
