package io.moextend.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Safetensors files built by hand, for what no writer would write. */
final class SafetensorsBytes {
  private SafetensorsBytes() {}

  static Path write(Path file, String header, int dataBytes) throws IOException {
    return write(file, header.getBytes(StandardCharsets.UTF_8), new byte[dataBytes]);
  }

  static Path write(Path file, byte[] header, byte[] data) throws IOException {
    return raw(file, header.length, header, data);
  }

  /** With a header length that need not be the header's. */
  static Path raw(Path file, long headerLength, byte[] header, byte[] data) throws IOException {
    return Files.write(
        file,
        ByteBuffer.allocate(8 + header.length + data.length)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(headerLength)
            .put(header)
            .put(data)
            .array());
  }

  static String entry(String name, String dtype, String shape, String offsets) {
    return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}"
        .formatted(name, dtype, shape, offsets);
  }
}
