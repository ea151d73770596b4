package io.moextend.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.comm.AllReduceTiming;
import io.moextend.comm.Collective;
import io.moextend.comm.SharedMemoryCollective;
import io.moextend.config.ConfigException;
import io.moextend.train.DistributedSection.Wire;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Times the sum over ranks. */
@Command(
    name = "allreduce",
    mixinStandardHelpOptions = true,
    description = {
      "Times the all-reduce of f32 values over the ranks of this host, from barrier to barrier.",
      "Prints one JSON line with the keys of scripts/bench/gloo_peer.py, which does the same with torch over gloo."
    },
    footer = {"", "Example:  moextend bench allreduce --bytes 100000000 --nproc-per-node 2"})
final class BenchAllReduceCommand implements Callable<Integer> {
  private static final int WARM_UP = 3;

  @Option(
      names = "--bytes",
      defaultValue = "100000000",
      description = "Of each rank (default: ${DEFAULT-VALUE}).")
  private long bytes;

  @Option(
      names = "--repetitions",
      defaultValue = "10",
      description = "That count, after three that warm up (default: ${DEFAULT-VALUE}).")
  private int repetitions;

  @Option(
      names = "--transport",
      defaultValue = "auto",
      paramLabel = "auto|shared_memory|aeron_ipc|aeron_udp",
      description = "What it goes over (default: ${DEFAULT-VALUE}).")
  private Wire transport = Wire.AUTO;

  @Option(
      names = "--plain",
      description = "The plainest loop over mapped memory instead: what the memory allows.")
  private boolean plain;

  @Mixin private final LaunchOptionsMixin launch = new LaunchOptionsMixin();

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    if (bytes < 4 || bytes % 4 != 0) {
      throw new ConfigException("--bytes", bytes, "must be a multiple of 4");
    }
    if (repetitions < 1) {
      throw new ConfigException("--repetitions", repetitions, "must be at least 1");
    }
    if (launch.asked(System.getenv())) {
      return OwnRanks.measure(spec, launch);
    }
    try (RankGroup group = OwnRanks.join(transport, () -> false)) {
      Collective collective = group.collective();
      if (collective == null) {
        throw new ConfigException("--nproc-per-node", 1, "one rank has nothing to sum; give 2");
      }
      List<Double> millis = timed(collective);
      group.finished();
      if (group.rank() == 0) {
        print(group.world(), millis);
      }
    }
    return 0;
  }

  private List<Double> timed(Collective collective) {
    if (!plain) {
      return AllReduceTiming.collective(collective, bytes, WARM_UP, repetitions);
    }
    if (collective instanceof SharedMemoryCollective shared) {
      return AllReduceTiming.plainMapped(shared, bytes, WARM_UP, repetitions);
    }
    throw new ConfigException("--plain", true, "is about mapped memory; leave --transport away");
  }

  private void print(int world, List<Double> millis) {
    double median = Medians.of(millis);
    ObjectNode line = new JsonMapper().createObjectNode();
    line.put("nproc", world);
    line.put("bytes", bytes);
    line.put("transport", plain ? "plain loop" : transport.toString().toLowerCase(Locale.ROOT));
    line.put("ms", Medians.rounded(median, 2));
    var all = line.putArray("ms_all");
    millis.forEach(m -> all.add(Medians.rounded(m, 1)));
    // what each rank has to send at least: 2 (P-1)/P of the bytes
    double sent = 2.0 * (world - 1) / world * bytes;
    line.put("sent_gb_per_s", Medians.rounded(sent / median / 1e6, 2));
    Commands.say(spec, line);
  }
}
