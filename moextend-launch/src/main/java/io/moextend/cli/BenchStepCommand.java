package io.moextend.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.bench.KernelProfile;
import io.moextend.bench.StepBench;
import io.moextend.bench.StepSize;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.Exposure;
import io.moextend.config.ConfigException;
import io.moextend.optim.AdamW;
import io.moextend.shard.MemoryPlan;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.shard.ZeroStage;
import io.moextend.stage.Stage;
import io.moextend.train.DistributedSection;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
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
  @Option(
      names = "--stage",
      required = true,
      paramLabel = "alignment|extension|finetune|pretrain",
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
    StepSize parsed = StepSize.parse(size);
    Stage what = Stage.named(stage);
    if (launch.asked(System.getenv())) {
      return OwnRanks.measure(spec, launch);
    }
    try (RankGroup group = OwnRanks.join(DistributedSection.Wire.AUTO, () -> false);
        Backend backend = backendOptions.open(group)) {
      KernelProfile kernels = profile ? new KernelProfile(backend) : null;
      run(group, kernels == null ? backend : kernels.backend(), kernels, parsed, what);
    }
    return 0;
  }

  private void run(
      RankGroup group,
      Backend backend,
      @Nullable KernelProfile kernels,
      StepSize parsed,
      Stage what) {
    try (Conversation conversation = group.conversation(backend);
        var bench =
            new StepBench(
                backend, what, parsed, backendOptions.dtype(), checkpointing, group.rank());
        RankOptimizer ranked =
            RankOptimizer.of(
                backend,
                conversation,
                bench.model(),
                bench.weights(),
                AdamW.PUBLISHED,
                Untouched.ZERO_GRADIENT,
                sharing())) {
      var timing = new Timing(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
      conversation.barrier("start");
      backend.memory().resetPeak(); // a random start takes more than a checkpoint that is mapped
      for (int i = 0; i < steps + warmUp; i++) {
        step(i, group.world(), bench, ranked.optimizer(), conversation, timing);
      }
      double[][] peaks =
          conversation.gather(
              "memory",
              ProcessMemory.peakBytes(),
              backend.memory().peakBytes() + conversation.peakBytes());
      List<KernelProfile.Line> table =
          kernels == null
              ? List.of()
              : profiled(kernels, group.world(), bench, ranked.optimizer(), conversation);
      group.finished();
      if (group.rank() == 0) {
        if (kernels != null) {
          Commands.out(spec).print(ProfileTable.of(table, Medians.of(timing.seconds())));
        }
        print(backend, parsed, bench, timing, peaks);
      }
    }
  }

  /** Two steps more, to be looked at: one as it is, one that runs each product alone too. */
  private List<KernelProfile.Line> profiled(
      KernelProfile kernels,
      int world,
      StepBench bench,
      Optimizer optimizer,
      Conversation conversation) {
    var untimed = new Timing(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    kernels.restart(false);
    step(0, world, bench, optimizer, conversation, untimed);
    List<KernelProfile.Line> inStep = kernels.lines();
    kernels.restart(true);
    step(0, world, bench, optimizer, conversation, untimed);
    return kernels.besides(inStep);
  }

  /** What counted steps took; losses of all. */
  private record Timing(List<Double> seconds, List<Exposure> exchanges, List<Double> losses) {}

  private void step(
      int i,
      int world,
      StepBench bench,
      Optimizer optimizer,
      Conversation conversation,
      Timing timing) {
    long start = System.nanoTime();
    timing.losses().add(bench.backpropagate(optimizer.gradients(true), 1.0 / world));
    optimizer.step(1e-4, 1);
    double seconds = (System.nanoTime() - start) / 1e9;
    Exposure exchange = conversation.exposure();
    if (i >= warmUp) {
      timing.seconds().add(seconds);
      timing.exchanges().add(exchange);
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
      Backend backend, StepSize parsed, StepBench bench, Timing timing, double[][] peaks) {
    int world = peaks.length;
    double median = Medians.of(timing.seconds());
    ObjectNode line = new JsonMapper().createObjectNode();
    line.put("stage", stage);
    line.put("dtype", backendOptions.dtype().toString().toLowerCase(Locale.ROOT));
    line.put("size", parsed.toString());
    line.put("backend", backend.name());
    line.put("device", backend.device());
    line.put("tokens_per_s", Medians.rounded(world * parsed.tokens() / median, 1));
    line.put("step_s", Medians.rounded(median, 4));
    ArrayNode all = line.putArray("step_s_all");
    timing.seconds().forEach(s -> all.add(Medians.rounded(s, 3)));
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
      double total = Medians.of(timing.exchanges().stream().map(Exposure::totalSeconds).toList());
      double exposed =
          Medians.of(timing.exchanges().stream().map(Exposure::exposedSeconds).toList());
      line.put("communication_s", Medians.rounded(total, 4));
      line.put("communication_exposed_s", Medians.rounded(exposed, 4));
      double late = Medians.of(timing.exchanges().stream().map(Exposure::lateSeconds).toList());
      line.put("waited_for_late_ranks_s", Medians.rounded(late, 4));
    }
    line.put("trainable", bench.trained().stream().mapToLong(Parameter::size).sum());
    ArrayNode values = line.putArray("loss");
    timing.losses().forEach(l -> values.add(Medians.rounded(l, 4)));
    Commands.say(spec, line);
  }
}
