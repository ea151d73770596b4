package io.moextend.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Bytes of a file, read in pieces through one small buffer each time they are wanted.
 *
 * @param from byte of the file
 * @param length in bytes
 */
record FileRange(Path file, long from, long length) implements TensorStream.Content {
  private static final long PIECE_BYTES = 1 << 20;

  /**
   * @throws CheckpointException where the file can no longer be read, or has become shorter
   * @throws IOException where the sink refuses
   */
  @Override
  public void writeTo(TensorStream.Sink sink) throws IOException {
    try (var arena = Arena.ofConfined();
        var channel = open()) {
      MemorySegment room = arena.allocate(Math.min(PIECE_BYTES, Math.max(1, length)), Long.BYTES);
      for (long at = 0; at < length; at += PIECE_BYTES) {
        long count = Math.min(PIECE_BYTES, length - at);
        MemorySegment piece = room.asSlice(0, count);
        fill(channel, piece.asByteBuffer(), from + at);
        sink.write(piece);
      }
    }
  }

  private FileChannel open() {
    try {
      return FileChannel.open(file, StandardOpenOption.READ);
    } catch (IOException e) {
      throw new CheckpointException(file + ": cannot be read (" + e + ")", e);
    }
  }

  private void fill(FileChannel channel, ByteBuffer piece, long position) {
    try {
      while (piece.hasRemaining()) {
        if (channel.read(piece, position + piece.position()) < 0) {
          throw new CheckpointException(file + ": was cut off while it was read; fetch it again");
        }
      }
    } catch (IOException e) {
      throw new CheckpointException(file + ": cannot be read (" + e + ")", e);
    }
  }
}
