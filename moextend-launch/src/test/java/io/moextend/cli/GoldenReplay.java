package io.moextend.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.GoldenComparison;
import io.moextend.GoldenT5Comparison;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Every reference case through {@code moextend trace} on a machine without a test runner: {@code
 * GOLDEN-FOLDER BACKEND SCRATCH CASE|all [OPTION-OF-TRACE...]}. In f32 every tensor has to agree,
 * in bf16 the losses within {@value #SHARE}.
 */
final class GoldenReplay {
  private static final double SHARE = 0.01;
  private static final int MOST_SAID = 6;
  private static final List<String> LOSSES =
      List.of("loss", "lm_loss", "ce_loss", "plain.loss", "packed.loss", "long.loss");

  /** What Adafactor's counter begins with. */
  private static final List<Long> STARTS = List.of(1_100_000L, 0L);

  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** Cases that are a whole model or tower with a batch, below the golden folder. */
  static final List<String> CASES =
      List.of(
          "moextend/vision_align",
          "moextend/vision_gate",
          "moextend/moextend_ft",
          "moextend/moextend_ft_rand",
          "hf/hf_mixtral",
          "hf/hf_llama",
          "hf/hf_llama31",
          "hf/hf_mistral",
          "hf/hf_qwen2",
          "hf/hf_phi3",
          "hf/hf_phi3_longrope",
          "hf/hf_clip_vision",
          "hf/hf_siglip_vision",
          "hf/hf_dinov2",
          "hf/hf_dinov2_gated",
          "hf/hf_t5",
          "hf/hf_t5_v10",
          "moiie/stage1_dense_phi3",
          "moiie/moiie_phi3",
          "moiie/moiie_llama3",
          "moiie/vanilla_phi3",
          "moiie/modality_phi3",
          "moiie/routed_modality_phi3",
          "mov/t5_base",
          "mov/ia3",
          "mov/lora",
          "mov/mov",
          "mov/mov_top2",
          "mov/mov_init",
          "mov/molora",
          "mov/molora_init");

  /** What a case came to. */
  private record Verdict(int tensors, List<String> wrong, double worstLoss) {
    Verdict and(Verdict other) {
      return new Verdict(
          tensors + other.tensors,
          Stream.concat(wrong.stream(), other.wrong.stream()).toList(),
          Math.max(worstLoss, other.worstLoss));
    }
  }

  /** A trace beside the reference. */
  @FunctionalInterface
  private interface Comparison {
    Verdict of(WeightSource got, WeightSource expected);
  }

  private final Path golden;
  private final String backend;
  private final Path scratch;
  private final List<String> more;
  private final PrintStream out;

  /**
   * @param more options of trace
   */
  GoldenReplay(Path golden, String backend, Path scratch, List<String> more, PrintStream out) {
    this.golden = golden;
    this.backend = backend;
    this.scratch = scratch;
    this.more = List.copyOf(more);
    this.out = out;
  }

  public static void main(String[] args) throws IOException {
    if (args.length == 1 && args[0].equals("list")) {
      CASES.forEach(System.out::println);
      return;
    }
    if (args.length < 4) {
      System.err.println(
          "usage: list | GOLDEN-FOLDER BACKEND SCRATCH CASE|all [OPTION-OF-TRACE...]");
      System.exit(2);
    }
    List<String> cases = args[3].equals("all") ? CASES : List.of(args[3]);
    List<String> more = List.of(args).subList(4, args.length);
    Path scratch = Files.createDirectories(Path.of(args[2]));
    var replay = new GoldenReplay(Path.of(args[0]), args[1], scratch, more, System.out);
    boolean right = true;
    for (String type : List.of("f32", "bf16")) {
      right &= replay.run(type, cases);
    }
    System.exit(right ? 0 : 3);
  }

  /** True where nothing is wrong; says what is, and one line of JSON. */
  boolean run(String type, List<String> cases) throws IOException {
    long start = System.nanoTime();
    int wrong = 0;
    int tensors = 0;
    double worst = 0;
    String worstCase = "";
    for (String name : cases) {
      Verdict verdict = verdict(type, name);
      verdict.wrong.stream()
          .limit(MOST_SAID)
          .forEach(fault -> out.printf("%s %s: %s%n", type, name, fault));
      wrong += verdict.wrong.isEmpty() ? 0 : 1;
      tensors += verdict.tensors;
      if (verdict.worstLoss > worst) {
        worst = verdict.worstLoss;
        worstCase = name;
      }
    }
    out.printf(
        Locale.ROOT,
        "{\"check\":\"golden\",\"backend\":\"%s\",\"dtype\":\"%s\",\"cases\":%d,\"wrong\":%d,\"tensors\":%d,\"worst_loss\":%.6f,\"of\":\"%s\",\"seconds\":%.1f}%n",
        backend,
        type,
        cases.size(),
        wrong,
        tensors,
        worst,
        worstCase,
        (System.nanoTime() - start) / 1e9);
    return wrong == 0;
  }

  private Verdict verdict(String type, String name) throws IOException {
    boolean whole = type.equals("f32");
    Path given = golden.resolve(name);
    if (!name.startsWith("mov/")) {
      List<?> words = oneBatch(name, given);
      return verdict(type, name, words, whole ? GoldenReplay::everyTensor : GoldenReplay::losses);
    }
    Verdict verdict = new Verdict(0, List.of(), 0);
    for (long start : whole ? STARTS : STARTS.subList(0, 1)) {
      List<?> words = adapters(given, start);
      var all = new GoldenT5Comparison(given, start);
      Comparison every = (got, expected) -> everyTensor(all, got, expected);
      verdict = verdict.and(verdict(type, name, words, whole ? every : GoldenReplay::losses));
    }
    return verdict;
  }

  private Verdict verdict(String type, String name, List<?> words, Comparison comparison)
      throws IOException {
    Path given = golden.resolve(name);
    Path traced = scratch.resolve(name.replace('/', '-') + "." + type + ".safetensors");
    Files.deleteIfExists(traced);
    var all = new ArrayList<Object>(List.of("trace", "--backend", backend, "--dtype", type));
    all.addAll(more);
    all.addAll(List.of("--model", given, "--inputs", given.resolve("inputs.safetensors")));
    all.addAll(List.of("--output", traced, "--gradients"));
    all.addAll(words);
    Ran ran = Ran.moextend(all.toArray());
    if (ran.code() != 0) {
      return new Verdict(
          0, List.of("trace ended with " + ran.code() + ": " + ran.err().strip()), 0);
    }
    try (WeightSource got = SafetensorsFile.open(traced);
        WeightSource expected = SafetensorsFile.open(given.resolve("expected.safetensors"))) {
      return comparison.of(got, expected);
    } finally {
      Files.deleteIfExists(traced);
    }
  }

  /** Of a T5 with adapters or without, its batches in turn. */
  private static List<?> adapters(Path given, long start) throws IOException {
    return List.of(
        "--stage",
        "adapt",
        "--adafactor-steps",
        3,
        "--start-step",
        start,
        "--learning-rate",
        GoldenT5Comparison.rate(given));
  }

  private static List<?> oneBatch(String name, Path given) throws IOException {
    JsonNode optimizer = JSON.readTree(given.resolve("meta.json").toFile()).path("optimizer");
    var words = new ArrayList<Object>(List.of("--adamw-steps", 3));
    words.addAll(List.of("--learning-rate", optimizer.path("lr").asText("0.001")));
    words.addAll(List.of("--weight-decay", optimizer.path("weight_decay").asText("0.01")));
    words.addAll(List.of("--max-grad-norm", clipping(name, optimizer)));
    stage(name).ifPresent(stage -> words.addAll(List.of("--stage", stage)));
    if (name.endsWith("moextend_ft")) { // a fresh expert ties with its origin
      words.addAll(List.of("--selected-experts", given.resolve("expected.safetensors")));
    }
    return words;
  }

  private static String clipping(String name, JsonNode optimizer) {
    boolean tower = name.endsWith("_vision") || name.contains("dinov2");
    return optimizer
        .path("max_grad_norm")
        .asText(optimizer.path("clipping").asText(tower ? "1" : "0"));
  }

  private static Optional<String> stage(String name) {
    return switch (name) {
      case "moextend/vision_align" -> Optional.of("alignment");
      case "moextend/vision_gate" -> Optional.of("extension");
      case "moextend/moextend_ft", "moextend/moextend_ft_rand" -> Optional.of("finetune");
      case "moiie/stage1_dense_phi3" -> Optional.of("pretrain");
      default -> name.startsWith("moiie/") ? Optional.of("sft") : Optional.empty();
    };
  }

  private static Verdict everyTensor(WeightSource got, WeightSource expected) {
    List<TensorData> traced = got.names().stream().map(got::tensor).toList();
    Map<String, String> wrong =
        GoldenComparison.wrong(
            traced, expected, n -> !n.startsWith("text_only.") && !movesWithRounding(n));
    return new Verdict(
        expected.names().size(),
        wrong.entrySet().stream().map(e -> e.getKey() + " " + e.getValue()).toList(),
        losses(got, expected).worstLoss);
  }

  private static Verdict everyTensor(
      GoldenT5Comparison comparison, WeightSource got, WeightSource expected) {
    return new Verdict(
        comparison.wanted(expected).size(),
        comparison.wrong(got, expected).entrySet().stream()
            .map(e -> e.getKey() + " " + e.getValue())
            .toList(),
        losses(got, expected).worstLoss);
  }

  /** Moves with rounding in the original itself: golden/README.md. */
  private static boolean movesWithRounding(String name) {
    return name.startsWith("after.")
        && Stream.of(
                "k_proj.bias",
                "attention.key.bias",
                "head.attention.in_proj_bias",
                "experts.0.w3.weight")
            .anyMatch(name::endsWith);
  }

  /** At the start weights; what three steps of bf16 come to is not compared. */
  private static Verdict losses(WeightSource got, WeightSource expected) {
    var off = new TreeMap<String, Double>();
    for (String name : LOSSES) {
      if (expected.names().contains(name)) {
        double want = expected.tensor(name).floats()[0];
        double have = got.names().contains(name) ? got.tensor(name).floats()[0] : Double.NaN;
        off.put(name, Math.abs(have - want) / Math.abs(want));
      }
    }
    List<String> wrong =
        off.entrySet().stream()
            .filter(e -> !(e.getValue() <= SHARE))
            .map(e -> String.format(Locale.ROOT, "%s is off by %.4f", e.getKey(), e.getValue()))
            .toList();
    double worst = off.values().stream().mapToDouble(d -> d).max().orElse(0);
    return new Verdict(off.size(), wrong, worst);
  }
}
