package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.backend.HostShare;
import io.moextend.comm.Collective;
import io.moextend.comm.aeron.Endpoint;
import io.moextend.comm.aeron.UdpPorts;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.LoneWire;
import io.moextend.comm.group.Group;
import io.moextend.comm.group.GroupLimits;
import io.moextend.comm.group.Membership;
import io.moextend.comm.group.RankEnvironment;
import io.moextend.launch.LocalDevices;
import io.moextend.train.DistributedSection.Wire;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * This process among the ranks of a run: what they talk over and what they share. A run of one
 * process has {@link #alone}.
 */
final class RankGroup implements AutoCloseable {
  private final @Nullable Collective collective;
  private final int localWorld;
  private final int device;
  private final @Nullable Path share;
  private final int generation;
  private final BooleanSupplier stop;
  private final Closing closing;
  private final CardWires cards;

  /** What a group does at its end. */
  private interface Closing {
    void close(boolean finished, @Nullable String failure);
  }

  private boolean finished;
  private @Nullable String failure;

  private RankGroup(
      @Nullable Collective collective,
      int localWorld,
      int device,
      @Nullable Path share,
      int generation,
      BooleanSupplier stop,
      Closing closing,
      CardWires cards) {
    this.collective = collective;
    this.localWorld = localWorld;
    this.device = device;
    this.share = share;
    this.generation = generation;
    this.stop = stop;
    this.closing = closing;
    this.cards = cards;
  }

  /**
   * @param stop whether this process was asked to leave
   */
  static RankGroup alone(BooleanSupplier stop) {
    return new RankGroup(null, 1, 0, null, 0, stop, (finished, failure) -> {}, CardWires.NONE);
  }

  /**
   * Ranks that are threads of one process.
   *
   * @param collective closed with this
   */
  static RankGroup within(Collective collective, BooleanSupplier stop) {
    return new RankGroup(
        collective,
        collective.world(),
        0,
        null,
        0,
        stop,
        (finished, failure) -> collective.close(),
        CardWires.NONE);
  }

  /**
   * Waits for the other ranks.
   *
   * @param asked whether this process was told to leave
   * @param out hears of ranks that are waited for and of what was dropped
   */
  @SuppressWarnings("MustBeClosedChecker") // all is closed with the group, or here on failure
  static RankGroup join(
      RankEnvironment environment,
      GroupLimits limits,
      Wire wire,
      BooleanSupplier asked,
      Consumer<String> out)
      throws InterruptedException {
    InetAddress address = environment.localAddress();
    var udp = new Endpoint(address.getHostAddress(), UdpPorts.free(address));
    Group group = Membership.join(environment, RankWires.details(udp), limits, out);
    RankFolder folder = null;
    try {
      group.whenLost(why -> LastWords.soon(group.rank(), why));
      folder = RankFolder.of(group, out);
      Collective collective = new RankWires(group, limits, address, folder.path(), out).open(wire);
      RankFolder opened = folder;
      int devices = Math.max(1, LocalDevices.count(System.getenv()));
      return new RankGroup(
          collective,
          environment.localWorld(),
          environment.localRank() % devices,
          folder.share(),
          environment.generation(),
          () -> asked.getAsBoolean() || group.stopRequested(),
          (finished, failure) -> {
            if (finished) {
              group.finished();
            } else if (failure != null) {
              group.givesUp(failure);
            }
            collective.close();
            opened.close();
            group.close();
          },
          CardWires.of(wire, devices, environment.localWorld(), group.vigil(), out));
    } catch (RuntimeException e) {
      group.fail(String.valueOf(e.getMessage()));
      if (folder != null) {
        folder.close();
      }
      group.close();
      throw e;
    }
  }

  /** What ranks do together; null where a process is alone. */
  @Nullable Collective collective() {
    return collective;
  }

  int rank() {
    return collective == null ? 0 : collective.rank();
  }

  int world() {
    return collective == null ? 1 : collective.world();
  }

  /** Cores of this host for each of its ranks, at least one. */
  int threads() {
    return Math.max(1, Runtime.getRuntime().availableProcessors() / localWorld);
  }

  /** Index of this rank's accelerator among those it sees; 0 where there is none. */
  int device() {
    return device;
  }

  /** Folder of the {@link HostShare} of this host's ranks; null where a process is alone. */
  @Nullable Path share() {
    return share;
  }

  /**
   * What the ranks talk over, in words; where cards talk by NCCL it is what they meet over.
   *
   * @param asked as the run was told
   */
  String wire(Wire asked) {
    return switch (asked) {
      case SHARED_MEMORY -> "shared memory";
      case AERON_IPC -> "Aeron IPC";
      case AERON_UDP -> "Aeron over UDP";
      case AUTO, NCCL ->
          localWorld == world()
              ? "shared memory"
              : localWorld == 1
                  ? "Aeron over UDP"
                  : "shared memory within a host, Aeron over UDP between hosts";
    };
  }

  /** How often the group was started again. */
  int generation() {
    return generation;
  }

  BooleanSupplier stop() {
    return stop;
  }

  /** The one thread that talks to the other ranks. Closed before the group. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the conversation closes its wire
  Conversation conversation(Backend backend) {
    Collective known = collective;
    return new Conversation(known == null ? new LoneWire(backend) : cards.wire(backend, known));
  }

  /** All was done that was to be done: to {@link #close} is then no failure. */
  void finished() {
    finished = true;
  }

  /** Why this rank will not finish: the others are told at {@link #close}. */
  void failed(RuntimeException why) {
    failure = String.valueOf(why.getMessage());
  }

  @Override
  public void close() {
    closing.close(finished, failure);
  }
}
