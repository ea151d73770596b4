package io.moextend.adapter;

import io.moextend.checkpoint.CheckpointException;
import java.util.Map;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What the original calls an adapter's tensors: paths below "target/" of a T5X checkpoint, whose
 * tensors lie as {@link AdapterFolder}'s do.
 */
public final class T5xNames {
  private static final Pattern NAME =
      Pattern.compile(
          "(encoder|decoder)\\.block\\.(\\d{1,6})\\.(layer\\.\\d\\.\\w{1,20})\\.(\\w{1,10})\\.(.+)");
  private static final Pattern PATH =
      Pattern.compile("(encoder|decoder)/layers_(\\d{1,6})/(\\w{1,30})/(\\w{1,30})/(.+)");

  /** Blocks by stack and module. */
  private static final Map<String, String> BLOCKS =
      Map.of(
          "encoder layer.0.SelfAttention", "attention",
          "encoder layer.1.DenseReluDense", "mlp",
          "decoder layer.0.SelfAttention", "self_attention",
          "decoder layer.1.EncDecAttention", "encoder_decoder_attention",
          "decoder layer.2.DenseReluDense", "mlp");

  private static final Map<String, String> ADDITIVE =
      Map.of(
          "q", "lora_q_conv",
          "k", "lora_k_conv",
          "v", "lora_v_conv",
          "o", "lora_output_conv",
          "wi_0", "lora_intermediate_conv",
          "wo", "lora_output_conv");

  private static final Map<String, String> RESCALING =
      Map.of("k", "k_conv", "v", "v_conv", "wi_0", "intermediate_conv");

  private static final String KERNEL = "router/router_weights/v/kernel";

  private T5xNames() {}

  /**
   * @param tensor "encoder.block.0.layer.0.SelfAttention.k.mov_scaling"
   * @return "encoder/layers_0/attention/k_conv/mov_scaling"
   * @throws CheckpointException where the original has no such tensor
   */
  public static String path(AdapterMethod method, String tensor) {
    Matcher m = NAME.matcher(tensor);
    if (m.matches()) {
      String block = BLOCKS.get(m.group(1) + " " + m.group(3));
      String site = (method.isAdditive() ? ADDITIVE : RESCALING).get(m.group(4));
      if (block != null && site != null) {
        String last = m.group(5).equals(SiteTensor.ROUTER) ? KERNEL : m.group(5);
        return "%s/layers_%s/%s/%s/%s".formatted(m.group(1), m.group(2), block, site, last);
      }
    }
    throw CheckpointException.ofTensor("T5X", tensor, "has no name there; it is of another model");
  }

  /**
   * @param path as {@link #path} gives it
   * @throws CheckpointException where that is no adapter's
   */
  public static String tensor(String path) {
    Matcher m = PATH.matcher(path);
    if (m.matches()) {
      String stack = m.group(1);
      boolean network = m.group(3).equals("mlp");
      String block = turned(BLOCKS, m.group(3), key -> key.startsWith(stack));
      boolean additive = m.group(4).startsWith("lora_");
      String site =
          turned(
              additive ? ADDITIVE : RESCALING, m.group(4), key -> network == key.startsWith("w"));
      if (block != null && site != null) {
        String last = m.group(5).equals(KERNEL) ? SiteTensor.ROUTER : m.group(5);
        return "%s.block.%s.%s.%s.%s"
            .formatted(stack, m.group(2), block.substring(stack.length() + 1), site, last);
      }
    }
    throw CheckpointException.ofTensor("T5X", path, "is no adapter's");
  }

  private static @Nullable String turned(
      Map<String, String> names, String value, Predicate<String> possible) {
    return names.entrySet().stream()
        .filter(e -> e.getValue().equals(value) && possible.test(e.getKey()))
        .map(Map.Entry::getKey)
        .findFirst()
        .orElse(null);
  }
}
