package io.moextend.data;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;

/** Plain reading of a small golden safetensors file, apart from the reader under test elsewhere. */
public final class GoldenTensors {
  private final JsonNode header;
  private final ByteBuffer data;

  public GoldenTensors(String relative) throws IOException {
    ByteBuffer file =
        ByteBuffer.wrap(Files.readAllBytes(Golden.path(relative))).order(ByteOrder.LITTLE_ENDIAN);
    int length = Math.toIntExact(file.getLong(0));
    header =
        new ObjectMapper().readTree(new String(file.array(), 8, length, StandardCharsets.UTF_8));
    data = file.slice(8 + length, file.capacity() - 8 - length).order(ByteOrder.LITTLE_ENDIAN);
  }

  private ByteBuffer bytes(String name, String dtype) {
    JsonNode tensor = header.get(name);
    if (!tensor.get("dtype").asText().equals(dtype)) {
      throw new IllegalStateException(name + " is " + tensor);
    }
    int from = tensor.get("data_offsets").get(0).asInt();
    int to = tensor.get("data_offsets").get(1).asInt();
    return data.slice(from, to - from).order(ByteOrder.LITTLE_ENDIAN);
  }

  public int[] longs(String name) {
    ByteBuffer bytes = bytes(name, "I64");
    int[] out = new int[bytes.remaining() / 8];
    for (int i = 0; i < out.length; i++) {
      out[i] = Math.toIntExact(bytes.getLong(8 * i));
    }
    return out;
  }

  public float[] floats(String name) {
    ByteBuffer bytes = bytes(name, "F32");
    float[] out = new float[bytes.remaining() / 4];
    bytes.asFloatBuffer().get(out);
    return out;
  }

  public byte[] bytes(String name) {
    ByteBuffer bytes = bytes(name, "U8");
    byte[] out = new byte[bytes.remaining()];
    bytes.get(out);
    return out;
  }
}
