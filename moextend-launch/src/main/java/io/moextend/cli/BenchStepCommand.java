package io.moextend.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.backend.Backend;
import io.moextend.bench.StepBench;
import io.moextend.bench.StepSize;
import io.moextend.config.ConfigException;
import io.moextend.optim.AdamW;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.stage.Stage;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Times training steps of a random model. */
@Command(
    name = "step",
    mixinStandardHelpOptions = true,
    description = {
      "Times training steps of a random Mixtral: forward, backward, clipping and AdamW, all frozen but what the stage trains.",
      "Prints one JSON line with the keys of scripts/bench/hf_peer.py, which does the same work on transformers."
    },
    footer = {
      "",
      "Example:  moextend bench step --stage finetune --size 1024,3584,4,8,8192,2,512 --dtype bf16"
    })
final class BenchStepCommand implements Callable<Integer> {
  private static final int WARM_UP = 2;

  @Option(
      names = "--stage",
      required = true,
      paramLabel = "alignment|extension|finetune",
      description = "What trains.")
  private String stage = "";

  @Option(
      names = "--size",
      defaultValue = "1024,3584,4,8,8192,2,512",
      paramLabel = "H,I,L,E,V,B,S",
      description =
          "hidden,intermediate,layers,experts,vocab,batch,sequence (default: ${DEFAULT-VALUE}).")
  private String size = "";

  @Mixin private final BackendOptions backendOptions = new BackendOptions();

  @Option(names = "--checkpointing", description = "Runs each layer again in the backward pass.")
  private boolean checkpointing;

  @Option(
      names = "--steps",
      defaultValue = "7",
      description = "Steps that count, after two that warm up (default: ${DEFAULT-VALUE}).")
  private int steps;

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    if (steps < 1) {
      throw new ConfigException("--steps", steps, "must be at least 1");
    }
    StepSize parsed = StepSize.parse(size);
    Stage what = Stage.named(stage);
    try (Backend backend = backendOptions.open();
        var bench = new StepBench(backend, what, parsed, backendOptions.dtype(), checkpointing, 0);
        Optimizer optimizer =
            new ReplicatedOptimizer(
                backend,
                ParameterLayout.of(bench.trained(), 1),
                AdamW.PUBLISHED,
                Untouched.ZERO_GRADIENT)) {
      var seconds = new ArrayList<Double>();
      var losses = new ArrayList<Double>();
      for (int i = 0; i < steps + WARM_UP; i++) {
        long start = System.nanoTime();
        losses.add(bench.backpropagate(optimizer.gradients(true), 1));
        optimizer.step(1e-4, 1);
        seconds.add((System.nanoTime() - start) / 1e9);
      }
      print(backend, parsed, bench, seconds.subList(WARM_UP, seconds.size()), losses);
    }
    return 0;
  }

  private void print(
      Backend backend,
      StepSize parsed,
      StepBench bench,
      List<Double> seconds,
      List<Double> losses) {
    double median = Medians.of(seconds);
    ObjectNode line = new JsonMapper().createObjectNode();
    line.put("stage", stage);
    line.put("dtype", backendOptions.dtype().toString().toLowerCase(java.util.Locale.ROOT));
    line.put("size", parsed.toString());
    line.put("backend", backend.name());
    line.put("device", backend.device());
    line.put("tokens_per_s", Medians.rounded(parsed.tokens() / median, 1));
    line.put("step_s", Medians.rounded(median, 4));
    ArrayNode all = line.putArray("step_s_all");
    seconds.forEach(s -> all.add(Medians.rounded(s, 3)));
    line.put("peak_bytes", ProcessMemory.peakBytes());
    line.put("arrays_peak_bytes", backend.memory().peakBytes());
    line.put("trainable", bench.trained().stream().mapToLong(p -> p.data().size()).sum());
    ArrayNode values = line.putArray("loss");
    losses.forEach(l -> values.add(Medians.rounded(l, 4)));
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    out.println(line);
    out.flush();
  }
}
