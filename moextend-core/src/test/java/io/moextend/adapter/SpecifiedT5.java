package io.moextend.adapter;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorData;
import io.moextend.nn.ParameterFactory;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Parameters made by formula from the names of the original and the places of their numbers there:
 * with h the sum of a path's bytes mod 97, the i-th number is made of sin(h / 10 + 0.61 i + 0.5).
 */
record SpecifiedT5(Backend backend, Arena arena, AdapterMethod method) implements ParameterFactory {
  private static final Pattern LAYER =
      Pattern.compile("(encoder|decoder)\\.block\\.(\\d+)\\.layer\\.(\\d)\\.(.*)\\.weight");

  @Override
  public Parameter parameter(String name, Role role, Init init, long... shape) {
    boolean adapter = role == Role.ADAPTER;
    String path = adapter ? T5xNames.path(method, name) : path(name);
    // Hugging Face has products' matrices, and the buckets, the other way round
    boolean turned =
        adapter
            ? SiteTensor.isTurned(name)
            : path.endsWith("/kernel") || path.endsWith("/rel_embedding");
    long[] stored = shape.clone();
    if (turned) {
      stored[shape.length - 1] = shape[shape.length - 2];
      stored[shape.length - 2] = shape[shape.length - 1];
    }
    float[] values = values(path, stored);
    TensorData data = TensorData.of(name, stored, values);
    float[] own = turned ? data.turned().floats() : values;
    var parameter = new Parameter(name, role, backend.floats(arena, DType.F32, own, shape));
    parameter.trainable(adapter);
    return parameter;
  }

  static String path(String name) {
    Matcher m = LAYER.matcher(name);
    if (m.matches() && !name.contains("relative_attention_bias")) {
      return "%s/layers_%s/%s"
          .formatted(m.group(1), m.group(2), inLayer(m.group(1), m.group(3), m.group(4)));
    }
    return switch (name) {
      case "shared.weight" -> "token_embedder/embedding";
      case "lm_head.weight" -> "decoder/logits_dense/kernel";
      case "encoder.final_layer_norm.weight" -> "encoder/encoder_norm/scale";
      case "decoder.final_layer_norm.weight" -> "decoder/decoder_norm/scale";
      default -> name.substring(0, 7) + "/relpos_bias/rel_embedding";
    };
  }

  private static String inLayer(String stack, String layer, String rest) {
    boolean encoder = stack.equals("encoder");
    boolean network = layer.equals(encoder ? "1" : "2");
    if (rest.equals("layer_norm")) {
      String self =
          encoder ? "attention" : layer.equals("0") ? "self_attention" : "cross_attention";
      return "pre_%s_layer_norm/scale".formatted(network ? "mlp" : self);
    }
    String last = rest.substring(rest.indexOf('.') + 1);
    if (network) {
      return "mlp/" + last + "/kernel";
    }
    String block =
        encoder ? "attention" : layer.equals("0") ? "self_attention" : "encoder_decoder_attention";
    String part =
        switch (last) {
          case "q" -> "query";
          case "k" -> "key";
          case "v" -> "value";
          default -> "out";
        };
    return "%s/%s/kernel".formatted(block, part);
  }

  private static float[] values(String path, long[] shape) {
    int h = 0;
    for (byte b : path.getBytes(StandardCharsets.UTF_8)) {
      h += b;
    }
    h %= 97;
    int size = 1;
    for (long n : shape) {
      size *= (int) n;
    }
    float[] values = new float[size];
    for (int i = 0; i < size; i++) {
      double b = Math.sin(0.1 * h + 0.61 * i + 0.5);
      values[i] = (float) value(path, b, shape[0]);
    }
    return values;
  }

  private static double value(String path, double b, long first) {
    String last = path.substring(path.lastIndexOf('/') + 1);
    return switch (last) {
      case "scale" -> 1 + 0.1 * b;
      case "ia3_scaling", "mov_scaling" -> 1 + 0.3 * b;
      case "embedding" -> b;
      case "rel_embedding" -> 0.5 * b;
      case "lora_A", "lora_B" -> 0.1 * b;
      default -> path.contains("/router/") ? 0.5 * b : b / Math.sqrt(first);
    };
  }
}
