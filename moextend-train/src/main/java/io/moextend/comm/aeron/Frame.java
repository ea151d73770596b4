package io.moextend.comm.aeron;

import java.nio.ByteBuffer;

/**
 * Layout of a frame, big-endian. The header is authenticated with the body but not encrypted.
 *
 * <pre>
 *  0 magic      4   "MoX1"
 *  4 length     4   of the body in bytes
 *  8 from       4   rank
 * 12 to         4   rank
 * 16 generation 8
 * 24 salt       8   of the sender's key
 * 32 sequence   8   of this frame on its stream, from 0
 * 40 total      8   bytes of the message the body is a piece of
 * 48 body           encrypted
 *    tag       16
 * </pre>
 */
record Frame(int length, int from, int to, long generation, long salt, long sequence, long total) {
  static final int HEADER = 48;
  static final int TAG = 16;
  static final int OVERHEAD = HEADER + TAG;
  private static final int MAGIC = 0x4d6f5831;

  void write(ByteBuffer header) {
    header.putInt(0, MAGIC).putInt(4, length).putInt(8, from).putInt(12, to);
    header.putLong(16, generation).putLong(24, salt).putLong(32, sequence).putLong(40, total);
  }

  static boolean hasMagic(ByteBuffer header) {
    return header.getInt(0) == MAGIC;
  }

  static Frame read(ByteBuffer header) {
    return new Frame(
        header.getInt(4),
        header.getInt(8),
        header.getInt(12),
        header.getLong(16),
        header.getLong(24),
        header.getLong(32),
        header.getLong(40));
  }
}
