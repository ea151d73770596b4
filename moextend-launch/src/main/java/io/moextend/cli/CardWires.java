package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.backend.Card;
import io.moextend.comm.Collective;
import io.moextend.comm.Patience;
import io.moextend.comm.Vigil;
import io.moextend.comm.device.DeviceWire;
import io.moextend.comm.device.HostWire;
import io.moextend.comm.device.NcclException;
import io.moextend.comm.device.NcclWire;
import io.moextend.config.ConfigException;
import io.moextend.train.DistributedSection.Wire;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * What the arrays of ranks travel over: from card to card by NCCL where that can be had, else over
 * the host's wire.
 *
 * @param asked as the run was told
 * @param shared whether ranks of this host share a card
 * @param out hears in one line why cards do not talk by NCCL
 */
record CardWires(Wire asked, boolean shared, Vigil vigil, Consumer<String> out) {
  /** For ranks of one process, and for one alone. */
  static final CardWires NONE =
      new CardWires(Wire.SHARED_MEMORY, true, new Patience(0, Duration.ofDays(1)), line -> {});

  /**
   * @param devices that this process sees, at least 1
   * @param localWorld ranks of this host
   */
  static CardWires of(Wire asked, int devices, int localWorld, Vigil vigil, Consumer<String> out) {
    return new CardWires(asked, localWorld > devices, vigil, out);
  }

  /**
   * A collective call.
   *
   * @throws ConfigException where NCCL was asked for by name and cannot be had
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  DeviceWire wire(Backend backend, Collective collective) {
    return switch (asked) {
      case SHARED_MEMORY, AERON_IPC, AERON_UDP -> new HostWire(backend, collective);
      case NCCL -> required(backend, collective);
      case AUTO ->
          backend instanceof Card
              ? ifPossible(backend, collective)
              : new HostWire(backend, collective);
    };
  }

  @MustBeClosed
  private DeviceWire required(Backend backend, Collective collective) {
    try {
      return NcclWire.open(backend, collective, shared, vigil, NcclWire.Wanted.REQUIRED).wire();
    } catch (NcclException e) {
      throw new ConfigException("distributed.transport", asked, e.getMessage() + "; or write auto");
    }
  }

  @MustBeClosed
  private DeviceWire ifPossible(Backend backend, Collective collective) {
    NcclWire.Opened opened =
        NcclWire.open(backend, collective, shared, vigil, NcclWire.Wanted.IF_POSSIBLE);
    if (!opened.refusal().isEmpty() && collective.rank() == 0) {
      out.accept("moextend: ranks talk over the host's memory: " + opened.refusal());
    }
    return opened.wire();
  }
}
