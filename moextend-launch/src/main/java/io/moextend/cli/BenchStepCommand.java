package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.bench.KernelProfile;
import io.moextend.bench.StepBench;
import io.moextend.bench.StepModel;
import io.moextend.bench.StepSize;
import io.moextend.bench.TokenRouting;
import io.moextend.cli.StepFigures.Timed;
import io.moextend.comm.device.Conversation;
import io.moextend.config.ConfigException;
import io.moextend.model.ParameterChoice;
import io.moextend.optim.AdamW;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.shard.RoleRates;
import io.moextend.stage.Stage;
import io.moextend.train.DistributedSection;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
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
      "Times training steps of a random model: forward, backward, clipping and AdamW, all frozen but what the stage trains.",
      "Prints one JSON line with the keys of scripts/bench/hf_peer.py (mixtral), hf_t5_peer.py (t5) and hf_moiie_peer.py (the others), which do the same work on transformers."
    },
    footer = {
      "",
      "Example:  moextend bench step --stage finetune --size 1024,3584,4,8,8192,2,512 --dtype bf16",
      "          moextend bench step --stage sft --architecture moiie --dtype bf16",
      "          moextend bench step --stage adapt --architecture t5 --method molora --experts 10 --rank 4 --dtype bf16"
    })
final class BenchStepCommand implements Callable<Integer> {
  @Option(
      names = "--stage",
      required = true,
      paramLabel = "alignment|extension|finetune|pretrain|sft|pretrain-text|adapt",
      description = "What trains; adapt is for t5.")
  private String stage = "";

  @Option(
      names = "--architecture",
      defaultValue = "mixtral",
      paramLabel = "mixtral|dense|moiie|vanilla-moe|modality-moe|t5",
      description = {
        "What is trained (default: ${DEFAULT-VALUE}). t5 is an encoder-decoder with adapters. The others but mixtral are decoders like Phi-3's;",
        "their odd layers have experts, and each row of a batch an image of 144 patches, which go through the projector."
      })
  private String architecture = "";

  @Option(
      names = "--size",
      paramLabel = "H,I,L,E,V,B,S",
      description =
          "hidden,intermediate,layers,experts,vocab,batch,sequence (default: 1024,3584,4,8,8192,2,512; four experts where it is no mixtral); of t5 d_model,d_ff,layers,heads,vocab,rows,inputs,targets (default: 1024,2816,8,16,32128,2,512,128).")
  private @Nullable String size;

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
      names = "--transport",
      defaultValue = "auto",
      paramLabel = "auto|shared_memory|aeron_ipc|aeron_udp|nccl",
      description =
          "What ranks talk over, as distributed.transport of a configuration (default: ${DEFAULT-VALUE}).")
  private DistributedSection.Wire transport = DistributedSection.Wire.AUTO;

  @Option(
      names = "--profile",
      description = "Prints where a step's time goes, kernel by kernel, before the result line.")
  private boolean profile;

  @Option(
      names = "--write",
      paramLabel = "FILE",
      description =
          "Writes weights and batch, as they are before the first step, to a safetensors file.")
  private @Nullable Path write;

  @Mixin private final AdaptStepOptions adapt = new AdaptStepOptions();

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
    if (write != null && Files.exists(write, LinkOption.NOFOLLOW_LINKS)) {
      throw new ConfigException("--write", write, "is there already; name a new file");
    }
    boolean adapting = Stage.named(stage) == Stage.ADAPT;
    if (adapting != architecture.equals(AdaptStepOptions.ARCHITECTURE)) {
      throw new ConfigException(
          "--stage", stage, "--stage adapt and --architecture t5 go together");
    }
    return adapting ? adapt() : decode();
  }

  private int adapt() {
    if (launch.asked(System.getenv())) {
      throw new ConfigException("--architecture", architecture, "is timed on one rank alone");
    }
    var timing = new AdaptSteps.Timing(steps, warmUp, profile, write);
    AdaptSteps.Asked asked = adapt.asked(size, backendOptions.dtype(), checkpointing);
    try (Backend backend = backendOptions.open()) {
      Commands.say(spec, AdaptSteps.lines(backend, asked, timing));
    }
    return 0;
  }

  private int decode() {
    StepModel model = StepModel.named(architecture);
    var work =
        new StepBench.Work(
            model,
            Stage.named(stage),
            size == null ? model.usualSize() : StepSize.parse(size),
            backendOptions.dtype(),
            checkpointing,
            TokenRouting.named(routing));
    if (launch.asked(System.getenv())) {
      return OwnRanks.measure(spec, launch);
    }
    try (RankGroup group = OwnRanks.join(transport, () -> false);
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
      if (write != null && group.rank() == 0) {
        bench.write(write);
      }
      var run = new Run(backend, group.world(), bench, ranked.optimizer(), conversation);
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
        Commands.say(
            spec,
            new StepFigures(start, counted, losses, peaks).line(backend, work, bench, sharing()));
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

  /** What one step needs. */
  private record Run(
      Backend backend, int world, StepBench bench, Optimizer optimizer, Conversation conversation) {
    Timed step() {
      long start = System.nanoTime();
      double loss = bench.backpropagate(optimizer.gradients(true), 1.0 / world);
      optimizer.step(1e-4, 1);
      backend.synchronize();
      double seconds = (System.nanoTime() - start) / 1e9;
      return new Timed(seconds, conversation.exposure(), loss, backend.memory().liveBytes());
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
}
