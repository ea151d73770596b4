package io.moextend.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.backend.Backend;
import io.moextend.bench.AnsweringMixtral;
import io.moextend.bench.AnsweringModel;
import io.moextend.bench.AnsweringT5;
import io.moextend.bench.GenerateBench;
import io.moextend.bench.GenerateBench.Timing;
import io.moextend.bench.GenerateSize;
import io.moextend.bench.KernelProfile;
import io.moextend.config.ConfigException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Times a random model at generating. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    description = {
      "Times greedy generation with a key-value cache, one sequence at a time, by a random Mixtral, or T5 v1.1.",
      "Prints one JSON line with the keys of scripts/bench/hf_generate_peer.py, which does the same work on transformers."
    },
    footer = {
      "",
      "Example:  moextend bench generate --dtype bf16 --prompt 128 --tokens 128",
      "          moextend bench generate --architecture t5 --dtype bf16 --prompt 512 --tokens 128"
    })
final class BenchGenerateCommand implements Callable<Integer> {
  private static final int WARM_UP = 2;
  private static final double GIGA = 1e9;
  private static final String MIXTRAL = "mixtral";
  private static final String T5 = "t5";

  @Option(
      names = "--architecture",
      defaultValue = MIXTRAL,
      paramLabel = "mixtral|t5",
      description =
          "What answers (default: ${DEFAULT-VALUE}); the prompt of a t5 is read by its encoder.")
  private String architecture = MIXTRAL;

  @Option(
      names = "--size",
      paramLabel = "H,I,L,E,V",
      description =
          "hidden,intermediate,layers,experts,vocab (default: 1024,3584,4,8,8192); of t5 d_model,d_ff,layers,heads,vocab (default: 1024,2816,8,16,32128).")
  private @Nullable String size;

  @Option(
      names = "--prompt",
      defaultValue = "128",
      paramLabel = "N",
      description = "Tokens of the prompt (default: ${DEFAULT-VALUE}).")
  private int prompt;

  @Option(
      names = "--tokens",
      defaultValue = "128",
      paramLabel = "N",
      description = "New tokens behind the first, which counts to the prompt (default: 128).")
  private int tokens;

  @Option(
      names = "--runs",
      defaultValue = "5",
      description = "Answers that count, after two that warm up (default: ${DEFAULT-VALUE}).")
  private int runs;

  @Option(
      names = "--profile",
      description =
          "Prints where the time of an answer's new tokens goes, kernel by kernel, before the result line.")
  private boolean profile;

  @Mixin private final BackendOptions backendOptions = new BackendOptions();

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    if (runs < 1) {
      throw new ConfigException("--runs", runs, "must be at least 1");
    }
    GenerateBench.requirePositive(prompt, tokens);
    try (Backend backend = backendOptions.open()) {
      KernelProfile kernels = profile ? new KernelProfile(backend) : null;
      run(kernels == null ? backend : kernels.backend(), kernels);
    }
    return 0;
  }

  private void run(Backend backend, @Nullable KernelProfile kernels) {
    switch (architecture) {
      case MIXTRAL -> {
        GenerateSize parsed = size == null ? GenerateSize.USUAL : GenerateSize.parse(size);
        int positions = Math.addExact(prompt, Math.addExact(tokens, 1));
        try (var model = new AnsweringMixtral(backend, parsed, backendOptions.dtype(), positions)) {
          run(backend, kernels, parsed.toString(), model);
        }
      }
      case T5 -> {
        AnsweringT5.Size parsed =
            size == null ? AnsweringT5.Size.USUAL : AnsweringT5.Size.parse(size);
        try (var model = new AnsweringT5(backend, parsed, backendOptions.dtype())) {
          run(backend, kernels, parsed.toString(), model);
        }
      }
      default -> throw new ConfigException("--architecture", architecture, "known are mixtral, t5");
    }
  }

  private void run(
      Backend backend, @Nullable KernelProfile kernels, String parsed, AnsweringModel model) {
    var bench = new GenerateBench(model, prompt, tokens);
    var timings = new ArrayList<Timing>();
    for (int i = 0; i < runs + WARM_UP; i++) {
      Timing timing = bench.run(() -> {});
      if (i >= WARM_UP) {
        timings.add(timing);
      }
    }
    if (kernels != null) {
      Timing timing = bench.run(() -> kernels.restart(false));
      Commands.out(spec).print(ProfileTable.of(kernels.lines(), timing.decodeSeconds()));
    }
    print(backend, parsed, bench, timings);
  }

  private void print(Backend backend, String parsed, GenerateBench bench, List<Timing> timings) {
    double prefill = Medians.of(timings.stream().map(Timing::prefillSeconds).toList());
    double decode = Medians.of(timings.stream().map(Timing::decodeSeconds).toList());
    ObjectNode line = new JsonMapper().createObjectNode();
    line.put("dtype", backendOptions.dtype().toString().toLowerCase(Locale.ROOT));
    line.put("architecture", architecture);
    line.put("size", parsed);
    line.put("prompt", prompt);
    line.put("tokens", tokens);
    line.put("backend", backend.name());
    line.put("device", backend.device());
    line.put("prefill_tokens_per_s", Medians.rounded(prompt / prefill, 1));
    line.put("decode_tokens_per_s", Medians.rounded(tokens / decode, 1));
    ArrayNode all = line.putArray("decode_s_all");
    timings.forEach(t -> all.add(Medians.rounded(t.decodeSeconds(), 3)));
    double read = bench.weightBytesOfAToken() * (tokens / decode);
    line.put("weights_read_gb_per_s", Medians.rounded(read / GIGA, 1));
    line.put("cache_bytes", bench.cacheBytes());
    line.put("peak_bytes", ProcessMemory.peakBytes());
    PrintWriter out = Commands.out(spec);
    out.println(line);
    out.flush();
  }
}
