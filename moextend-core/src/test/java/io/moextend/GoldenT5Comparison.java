package io.moextend;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.adapter.AdapterFolder;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A trace of one of the cases of golden/mov beside the original's numbers, in f32. */
public final class GoldenT5Comparison {
  private static final String ROUTED_OR_HIDDEN =
      "(en|de)coder_(hidden|output)|router|adapter_output";

  private final Path given;
  private final String steps;
  private final double rate;
  private final List<Pattern> noise = new ArrayList<>();

  /**
   * @param given the case's folder
   * @param start what the counter of the traced Adafactor steps began with; those of another are
   *     passed over
   */
  public GoldenT5Comparison(Path given, long start) throws IOException {
    this.given = given;
    this.steps = "step" + start + ".";
    JsonNode meta = meta(given);
    this.rate = rate(meta);
    for (JsonNode glob : meta.path("do_not_compare")) {
      noise.add(Pattern.compile(glob.asText().replace(".", "\\.").replace("*", ".*")));
    }
  }

  /** The learning rate of a case's steps. */
  public static double rate(Path given) throws IOException {
    return rate(meta(given));
  }

  private static double rate(JsonNode meta) {
    return meta.path("train").path("learning_rate").asDouble();
  }

  private static JsonNode meta(Path given) throws IOException {
    return JsonMapper.builder().build().readTree(given.resolve("meta.json").toFile());
  }

  /** The reference's tensors that have to be in the trace. */
  public List<String> wanted(WeightSource expected) {
    return expected.names().stream()
        .filter(name -> !name.startsWith("step") || name.startsWith(steps))
        .filter(name -> noise.stream().noneMatch(glob -> glob.matcher(name).matches()))
        .toList();
  }

  /**
   * @return what is wrong, by tensor
   */
  public Map<String, String> wrong(WeightSource got, WeightSource expected) {
    var wrong = new TreeMap<String, String>();
    try (var inputs = SafetensorsFile.open(given.resolve("inputs.safetensors"))) {
      for (String name : wanted(expected)) {
        String problem =
            got.names().contains(name)
                ? difference(got.tensor(name), expected.tensor(name), inputs)
                : "was not traced";
        if (problem != null) {
          wrong.put(name, problem);
        }
      }
    }
    return wrong;
  }

  private @Nullable String difference(TensorData have, TensorData want, WeightSource inputs) {
    if (!Arrays.equals(have.shape(), want.shape()) || have.dtype() != want.dtype()) {
      return "is %s %s".formatted(have.dtype(), Arrays.toString(have.shape()));
    }
    if (!want.dtype().isFloating()) {
      return Arrays.equals(have.longs(), want.longs()) ? null : "differs";
    }
    float[] a = have.floats();
    float[] b = want.floats();
    boolean[] real = real(want, inputs);
    double[] allowed = allowed(want.name(), b);
    for (int i = 0; i < b.length; i++) {
      double tolerance = allowed[0] + allowed[1] * Math.abs(b[i]);
      if (real[i / (b.length / real.length)] && !(Math.abs((double) a[i] - b[i]) <= tolerance)) {
        return "[%d] is %s, wanted %s".formatted(i, a[i], b[i]);
      }
    }
    return null;
  }

  /** Places that are no padding, where what stands at padding means nothing. */
  private static boolean[] real(TensorData want, WeightSource inputs) {
    String[] parts = want.name().split("\\.", 3);
    if (!parts[1].matches(ROUTED_OR_HIDDEN)) {
      return new boolean[] {true};
    }
    String module = parts[1].contains("coder") ? parts[1] : parts[2];
    boolean ofInputs = module.startsWith("encoder") || module.matches(".*EncDecAttention\\.[kv]");
    long[] ids = inputs.tensor(parts[0] + (ofInputs ? ".input_ids" : ".labels")).longs();
    boolean[] real = new boolean[ids.length];
    for (int i = 0; i < ids.length; i++) {
      real[i] = ids[i] != 0;
    }
    return real;
  }

  /** Absolute, and relative to each number. */
  private double[] allowed(String name, float[] want) {
    if (name.contains(".grad.") || name.contains(".v.")) {
      double largest = 0;
      for (float w : want) {
        largest = Math.max(largest, Math.abs(w));
      }
      return new double[] {1e-4 * largest + 1e-30, 0};
    }
    if (name.contains(".param")) {
      boolean adapted = Files.exists(given.resolve(AdapterFolder.WEIGHTS));
      Path weights = given.resolve(adapted ? AdapterFolder.WEIGHTS : "model.safetensors");
      try (var before = SafetensorsFile.open(weights)) {
        String own = name.replaceFirst("step\\d+\\.param(_after_1)?\\.", "");
        double moved = Math.max(1e-3, rms(before.tensor(own).floats()));
        return new double[] {1e-2 * rate * moved, 3e-7};
      }
    }
    return new double[] {2e-5, 1e-5};
  }

  private static double rms(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return Math.sqrt(sum / values.length);
  }
}
