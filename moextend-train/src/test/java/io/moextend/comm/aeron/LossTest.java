package io.moextend.comm.aeron;

import static org.assertj.core.api.Assertions.assertThat;

import io.aeron.driver.MediaDriver;
import io.aeron.driver.ext.DebugSendChannelEndpoint;
import io.aeron.driver.ext.LossGenerator;
import io.aeron.driver.ext.RandomLossGenerator;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A network that loses one datagram of a hundred, both data and what Aeron answers. */
class LossTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(ints = {1408, 8192, 65504})
  void everyByteArrivesAllTheSame(int mtu) throws Exception {
    long seed = new Random().nextLong();
    var lost = new AtomicInteger();
    Wires wires = Wires.udp(folder, 2, new Tuning(Wires.PATIENCE, 2 << 20, mtu));
    int[] sizes = new int[12];
    Arrays.fill(sizes, 3_000_017);
    try (AeronTransport zero = open(wires, 0, seed, lost);
        AeronTransport one = open(wires, 1, seed, lost)) {
      Ring.together(() -> talk(zero, seed, sizes), () -> talk(one, seed, sizes));
      Ring.closeTogether(zero, one);
    }
    assertThat(lost.get()).as("datagrams lost, seed %d", seed).isPositive();
    assertThat(wires.reports).isEmpty();
  }

  private static Void talk(AeronTransport wire, long seed, int... sizes) {
    Ring.check(wire, seed, sizes);
    return null;
  }

  private static AeronTransport open(Wires wires, int rank, long seed, AtomicInteger lost) {
    return AeronTransport.open(
        wires.settings(rank),
        Wires.vigil(rank),
        wires.reports::add,
        context -> lossy(context, seed + rank, lost));
  }

  private static MediaDriver.Context lossy(
      MediaDriver.Context context, long seed, AtomicInteger lost) {
    LossGenerator random = new RandomLossGenerator(0.01, seed);
    LossGenerator counted =
        (address, buffer, length) -> {
          boolean drop = random.shouldDropFrame(address, buffer, length);
          lost.addAndGet(drop ? 1 : 0);
          return drop;
        };
    return context.sendChannelEndpointSupplier(
        (channel, status, settings) ->
            new DebugSendChannelEndpoint(channel, status, settings, counted, counted));
  }
}
