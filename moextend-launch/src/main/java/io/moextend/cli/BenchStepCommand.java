package io.moextend.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.bench.KernelProfile;
import io.moextend.bench.StepBench;
import io.moextend.bench.StepSize;
import io.moextend.bench.TokenRouting;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.Exposure;
import io.moextend.config.ConfigException;
import io.moextend.model.ParameterChoice;
import io.moextend.optim.AdamW;
import io.moextend.shard.MemoryPlan;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.shard.RoleRates;
import io.moextend.shard.ZeroStage;
import io.moextend.stage.Stage;
import io.moextend.train.DistributedSection;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.ToDoubleFunction;
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
  @Option(
      names = "--stage",
      required = true,
      paramLabel = "alignment|extension|finetune|pretrain-text",
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
      description = "Steps that count (default: ${DEFAULT-VALUE}).")
  private int steps;

  @Option(
      names = "--warm-up",
      defaultValue = "12",
      description = "Steps before those, while code is being compiled (default: ${DEFAULT-VALUE}).")
  private int warmUp;

  @Option(
      names = "--routing",
      defaultValue = "router",
      paramLabel = "router|balanced|one-expert|empty-expert",
      description =
          "Whom tokens go to: whom the random router chooses, all experts in turn, all tokens to the first, none to the last (default: ${DEFAULT-VALUE}).")
  private String routing = "";

  @Option(
      names = "--zero-stage",
      defaultValue = "1",
      paramLabel = "0|1|2|3",
      description = "What ranks share among themselves (default: ${DEFAULT-VALUE}).")
  private int zeroStage;

  @Option(
      names = "--bucket-bytes",
      defaultValue = "26214400",
      description = "Gradients that are exchanged at once (default: ${DEFAULT-VALUE}).")
  private int bucketBytes;

  @Option(
      names = "--profile",
      description = "Prints where a step's time goes, kernel by kernel, before the result line.")
  private boolean profile;

  @Mixin private final LaunchOptionsMixin launch = new LaunchOptionsMixin();

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    if (steps < 1) {
      throw new ConfigException("--steps", steps, "must be at least 1");
    }
    if (warmUp < 0) {
      throw new ConfigException("--warm-up", warmUp, "must not be negative");
    }
    var work =
        new StepBench.Work(
            Stage.named(stage),
            StepSize.parse(size),
            backendOptions.dtype(),
            checkpointing,
            TokenRouting.named(routing));
    if (launch.asked(System.getenv())) {
      return OwnRanks.measure(spec, launch);
    }
    try (RankGroup group = OwnRanks.join(DistributedSection.Wire.AUTO, () -> false);
        Backend backend = backendOptions.open(group)) {
      KernelProfile kernels = profile ? new KernelProfile(backend) : null;
      run(group, kernels == null ? backend : kernels.backend(), kernels, work);
    }
    return 0;
  }

  private void run(
      RankGroup group, Backend backend, @Nullable KernelProfile kernels, StepBench.Work work) {
    long asked = System.nanoTime();
    try (Conversation conversation = group.conversation(backend);
        var bench = new StepBench(backend, work, group.rank());
        RankOptimizer ranked =
            RankOptimizer.of(
                backend,
                conversation,
                bench.model(),
                bench.weights(),
                new RankOptimizer.Update(AdamW.PUBLISHED, Untouched.ZERO_GRADIENT, RoleRates.ALIKE),
                RankOptimizer.sharded(ParameterChoice.NONE, sharing(), group.world()),
                sharing())) {
      double making = (System.nanoTime() - asked) / 1e9;
      var run = new Run(group.world(), bench, ranked.optimizer(), conversation);
      conversation.barrier("start");
      backend.memory().resetPeak(); // a random start takes more than a checkpoint that is mapped
      var counted = new ArrayList<Timed>();
      var losses = new ArrayList<Double>();
      double start = 0;
      for (int i = 0; i < steps + warmUp; i++) {
        Timed timed = run.step();
        losses.add(timed.loss());
        if (i == 0) {
          start = sinceProcessStart() - making;
        }
        if (i >= warmUp) {
          counted.add(timed);
        }
      }
      double[][] peaks =
          conversation.gather(
              "memory",
              ProcessMemory.peakBytes(),
              backend.memory().peakBytes() + conversation.peakBytes());
      String table = kernels == null ? "" : run.profile(kernels);
      group.finished();
      if (group.rank() == 0) {
        Commands.out(spec).print(table);
        print(backend, work, bench, new Timing(start, counted, losses), peaks);
      }
    }
  }

  private static double sinceProcessStart() {
    return ProcessHandle.current()
        .info()
        .startInstant()
        .map(from -> Duration.between(from, Instant.now()).toNanos() / 1e9)
        .orElse(Double.NaN);
  }

  /** One step of all ranks. */
  private record Timed(double seconds, Exposure exchange, double loss) {}

  /**
   * @param start seconds from the process' start to the first step's end, without those that making
   *     random weights took
   * @param counted steps after the warm-up
   * @param losses of all steps
   */
  private record Timing(double start, List<Timed> counted, List<Double> losses) {
    double median(ToDoubleFunction<Timed> of) {
      return Medians.of(counted.stream().map(of::applyAsDouble).toList());
    }
  }

  /** What one step needs. */
  private record Run(int world, StepBench bench, Optimizer optimizer, Conversation conversation) {
    Timed step() {
      long start = System.nanoTime();
      double loss = bench.backpropagate(optimizer.gradients(true), 1.0 / world);
      optimizer.step(1e-4, 1);
      return new Timed((System.nanoTime() - start) / 1e9, conversation.exposure(), loss);
    }

    /** Two steps more: one as it is, one that runs each product alone too. */
    String profile(KernelProfile kernels) {
      kernels.restart(false);
      double seconds = step().seconds();
      List<KernelProfile.Line> inStep = kernels.lines();
      kernels.restart(true);
      step();
      return ProfileTable.of(kernels.besides(inStep), seconds);
    }
  }

  private DistributedSection sharing() {
    return DistributedSection.usual(zeroStage, bucketBytes);
  }

  /** Gradients, masters, state and what is on its way, as the layout predicts it for a rank. */
  private long stateBytes(StepBench bench, int world) {
    ZeroStage zero = ZeroStage.of(world == 1 ? 0 : zeroStage);
    ParameterLayout layout = RankOptimizer.layout(bench.model(), sharing(), world);
    return MemoryPlan.of(layout, zero, AdamW.PUBLISHED.stateNames().size(), layout.wide()).total();
  }

  /** Of the matrices in each decoder layer. */
  private static long[] layerBytes(StepBench bench) {
    return bench.model().layerWeights().stream()
        .mapToLong(
            layer ->
                layer.stream()
                    .flatMap(weight -> weight.parts().stream())
                    .mapToLong(part -> part.size() * part.dtype().bytes())
                    .sum())
        .toArray();
  }

  private void print(
      Backend backend, StepBench.Work work, StepBench bench, Timing timing, double[][] peaks) {
    int world = peaks.length;
    double median = timing.median(Timed::seconds);
    ObjectNode line = new JsonMapper().createObjectNode();
    line.put("stage", stage);
    line.put("dtype", backendOptions.dtype().toString().toLowerCase(Locale.ROOT));
    line.put("size", work.size().toString());
    line.put("routing", work.routing().toString());
    line.put("backend", backend.name());
    line.put("device", backend.device());
    line.put("tokens_per_s", Medians.rounded(world * work.size().tokens() / median, 1));
    line.put("step_s", Medians.rounded(median, 4));
    ArrayNode all = line.putArray("step_s_all");
    timing.counted().forEach(step -> all.add(Medians.rounded(step.seconds(), 3)));
    line.put("first_step_s", Medians.rounded(timing.start(), 2));
    line.put("peak_bytes", ProcessMemory.peakBytes());
    line.put("zero_stage", zeroStage);
    line.put("state_bytes", stateBytes(bench, world));
    long[] layers = layerBytes(bench);
    line.put("layer_weight_bytes", Arrays.stream(layers).sum());
    line.put("largest_layer_bytes", Arrays.stream(layers).max().orElse(0));
    ArrayNode ranks = line.putArray("arrays_peak_bytes");
    Arrays.stream(peaks).forEach(p -> ranks.add((long) p[1]));
    if (world > 1) {
      line.put("nproc", world);
      double total = timing.median(t -> t.exchange().totalSeconds());
      double exposed = timing.median(t -> t.exchange().exposedSeconds());
      line.put("communication_s", Medians.rounded(total, 4));
      line.put("communication_exposed_s", Medians.rounded(exposed, 4));
      double late = timing.median(t -> t.exchange().lateSeconds());
      line.put("waited_for_late_ranks_s", Medians.rounded(late, 4));
    }
    line.put("trainable", bench.trained().stream().mapToLong(Parameter::size).sum());
    ArrayNode values = line.putArray("loss");
    timing.losses().forEach(l -> values.add(Medians.rounded(l, 4)));
    Commands.say(spec, line);
  }
}
