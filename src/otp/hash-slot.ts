/** How many slots every Redis Cluster has. */
export const slotCount = 16_384;

/** The slot of a hash tag: CRC16 (XMODEM) of its bytes, as the Redis Cluster specification has it. */
export function hashSlot(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return (crc & 0xffff) % slotCount;
}
