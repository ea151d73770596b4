package io.moextend.model;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.nn.ParameterFactory;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Weights that follow from their T5X path: with h the sum of its bytes mod 97, element i is b =
 * sin(0.1h + 0.61i + 0.5) times what its kind says.
 */
public record FormulaParameters(Backend backend, Arena arena) implements ParameterFactory {
  private static final Pattern LAYER =
      Pattern.compile("(encoder|decoder)\\.block\\.(\\d+)\\.layer\\.(\\d)\\.(.+)");

  @Override
  public Parameter parameter(String name, Role role, Init init, long... shape) {
    String path = path(name);
    boolean turned = shape.length == 2 && !name.equals("shared.weight");
    long[] stored = turned ? new long[] {shape[1], shape[0]} : shape;
    double[] values = values(path, stored);
    var parameter =
        new Parameter(name, role, placed(turned ? turned(values, stored) : values, shape));
    parameter.trainable(true);
    return parameter;
  }

  private Array placed(double[] values, long... shape) {
    return backend.doubles(arena, DType.F32, values, shape);
  }

  /** What a tensor of this path and shape has, as T5X stores it. */
  public static double[] values(String path, long... shape) {
    int h = 0;
    for (char c : path.toCharArray()) {
      h += c;
    }
    h %= 97;
    double[] values = new double[Math.toIntExact(Array.sizeOf(shape))];
    for (int i = 0; i < values.length; i++) {
      double b = Math.sin(0.1 * h + 0.61 * i + 0.5);
      values[i] = of(path, b, shape[0]);
    }
    return values;
  }

  private static double of(String path, double b, long first) {
    if (path.endsWith("/scale")) {
      return 1 + 0.1 * b;
    }
    if (path.endsWith("_scaling")) {
      return 1 + 0.3 * b;
    }
    if (path.endsWith("/embedding")) {
      return b;
    }
    if (path.endsWith("rel_embedding") || path.contains("/router/")) {
      return 0.5 * b;
    }
    return path.endsWith("lora_A") || path.endsWith("lora_B") ? 0.1 * b : b / Math.sqrt(first);
  }

  private static double[] turned(double[] values, long[] shape) {
    int rows = (int) shape[0];
    int columns = (int) shape[1];
    double[] turned = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      turned[i % columns * rows + i / columns] = values[i];
    }
    return turned;
  }

  /** The path that T5X has for a tensor of Hugging Face's. */
  public static String path(String name) {
    Matcher layer = LAYER.matcher(name);
    if (layer.matches() && !name.contains("relative_attention_bias")) {
      String of = layer.group(1) + "/layers_" + layer.group(2) + "/";
      boolean encoder = layer.group(1).equals("encoder");
      return of + inLayer(layer.group(4), encoder, Integer.parseInt(layer.group(3)));
    }
    String stack = name.startsWith("encoder") ? "encoder" : "decoder";
    if (name.contains("relative_attention_bias")) {
      return stack + "/relpos_bias/rel_embedding";
    }
    return switch (name) {
      case "shared.weight" -> "token_embedder/embedding";
      case "lm_head.weight" -> "decoder/logits_dense/kernel";
      default -> stack + "/" + stack + "_norm/scale";
    };
  }

  private static String inLayer(String tensor, boolean encoder, int part) {
    if (tensor.equals("layer_norm.weight")) {
      String[] norms =
          encoder
              ? new String[] {"attention", "mlp"}
              : new String[] {"self_attention", "cross_attention", "mlp"};
      return "pre_" + norms[part] + "_layer_norm/scale";
    }
    return tensor
        .replace("SelfAttention.", encoder ? "attention/" : "self_attention/")
        .replace("EncDecAttention.", "encoder_decoder_attention/")
        .replace("DenseReluDense.", "mlp/")
        .replace("/q.", "/query.")
        .replace("/k.", "/key.")
        .replace("/v.", "/value.")
        .replace("/o.", "/out.")
        .replace(".weight", "/kernel");
  }
}
