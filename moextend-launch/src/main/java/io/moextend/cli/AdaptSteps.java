package io.moextend.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.adapter.AdapterConfig;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.bench.AdaptStepBench;
import io.moextend.bench.KernelProfile;
import io.moextend.optim.UpdateRule;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer;
import io.moextend.stage.Stage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The steps of {@code bench step --architecture t5}, and what they took. */
final class AdaptSteps {
  private static final double RATE = 1e-4;
  private static final double CLIP = 1;

  /**
   * What is timed.
   *
   * @param method as typed
   */
  record Asked(AdaptStepBench.Work work, String method, UpdateRule rule) {}

  /**
   * How it is timed.
   *
   * @param warmUp steps that do not count
   * @param write where weights and batch go before the first step, or null
   */
  record Timing(int steps, int warmUp, boolean profile, @Nullable Path write) {}

  private final AdaptStepBench bench;
  private final Optimizer optimizer;
  private final List<Double> losses = new ArrayList<>();

  private AdaptSteps(AdaptStepBench bench, Optimizer optimizer) {
    this.bench = bench;
    this.optimizer = optimizer;
  }

  /** The profile where one is asked for, and the line of JSON. */
  static String lines(Backend real, Asked asked, Timing timing) {
    KernelProfile kernels = timing.profile ? new KernelProfile(real) : null;
    Backend backend = kernels == null ? real : kernels.backend();
    try (var bench = new AdaptStepBench(backend, asked.work);
        Optimizer optimizer =
            new ReplicatedOptimizer(
                backend,
                ParameterLayout.of(
                    ParameterLayout.trained(bench.model().units()), 1, Long.MAX_VALUE),
                asked.rule,
                ReplicatedOptimizer.Untouched.ZERO_GRADIENT)) {
      if (timing.write != null) {
        bench.write(timing.write);
      }
      backend.memory().resetPeak(); // a random start takes more than a checkpoint that is mapped
      var steps = new AdaptSteps(bench, optimizer);
      List<Double> counted = steps.run(timing);
      ObjectNode line = steps.line(backend, asked, counted);
      return (kernels == null ? "" : steps.profile(kernels)) + line;
    }
  }

  private List<Double> run(Timing timing) {
    var counted = new ArrayList<Double>();
    for (int i = 0; i < timing.warmUp + timing.steps; i++) {
      double seconds = step();
      if (i >= timing.warmUp) {
        counted.add(seconds);
      }
    }
    return counted;
  }

  private double step() {
    long start = System.nanoTime();
    losses.add(bench.backpropagate(optimizer.gradients(true)));
    optimizer.step(RATE, CLIP);
    return (System.nanoTime() - start) / 1e9;
  }

  /** Two steps more: one as it is, one that runs each product alone too. */
  private String profile(KernelProfile kernels) {
    kernels.restart(false);
    double seconds = step();
    List<KernelProfile.Line> inStep = kernels.lines();
    kernels.restart(true);
    step();
    return ProfileTable.of(kernels.besides(inStep), seconds);
  }

  private ObjectNode line(Backend backend, Asked asked, List<Double> counted) {
    AdaptStepBench.Work work = asked.work;
    double median = Medians.of(counted);
    ObjectNode line = new JsonMapper().createObjectNode();
    line.put("architecture", AdaptStepOptions.ARCHITECTURE);
    line.put("stage", Stage.ADAPT.word());
    line.put("method", asked.method);
    AdapterConfig adapters = work.adapters();
    if (adapters != null) {
      line.put("rank", adapters.rank());
      line.put("experts", adapters.experts());
    }
    line.put("dtype", work.dtype().toString().toLowerCase(Locale.ROOT));
    line.put("size", work.size().toString());
    line.put("backend", backend.name());
    line.put("device", backend.device());
    line.put("tokens_per_s", Medians.rounded(work.size().tokens() / median, 1));
    line.put("step_s", Medians.rounded(median, 4));
    ArrayNode all = line.putArray("step_s_all");
    counted.forEach(seconds -> all.add(Medians.rounded(seconds, 4)));
    line.put("peak_bytes", ProcessMemory.peakBytes());
    line.putArray("arrays_peak_bytes").add(backend.memory().peakBytes());
    line.put("trainable", bench.trained().stream().mapToLong(Parameter::size).sum());
    ArrayNode values = line.putArray("loss");
    losses.forEach(l -> values.add(Medians.rounded(l, 6)));
    return line;
  }
}
