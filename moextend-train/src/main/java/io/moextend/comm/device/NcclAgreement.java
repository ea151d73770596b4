package io.moextend.comm.device;

import io.moextend.backend.Card;
import io.moextend.comm.Buffer;
import io.moextend.comm.Collective;
import io.moextend.comm.Payload;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Whether the ranks of a group use NCCL, found out over the host's wire: all of them or none, for a
 * rank that waits in NCCL for one that never comes waits for ever.
 *
 * @param library null where a rank cannot
 * @param refusal why not, in one line; empty where all can
 */
record NcclAgreement(@Nullable NcclLibrary library, String refusal) {
  private static final int[] VERSIONS = {2};

  /**
   * What one rank brings along.
   *
   * @param refusal why it cannot; empty where it can
   */
  record Offer(@Nullable NcclLibrary library, String refusal) {
    /**
     * @param shared whether another rank of this host has the same card
     */
    static Offer of(Card card, boolean shared) {
      if (shared) {
        return new Offer(null, "ranks share a card, and NCCL wants one for each");
      }
      Card.Found found = card.library("nccl", VERSIONS);
      return found.file() == null ? new Offer(null, found.text()) : opened(found.file().toString());
    }

    /**
     * @param name a file, or a name that the system's loader finds
     */
    static Offer opened(String name) {
      try {
        return new Offer(new NcclLibrary(name), "");
      } catch (NcclException e) {
        return new Offer(null, String.valueOf(e.getMessage()));
      }
    }

    double version() {
      return library == null ? 0 : library.version();
    }
  }

  /** A collective call; the same on all ranks but for the words about a rank's own refusal. */
  static NcclAgreement of(DeviceWire wire, Offer own) {
    double[][] versions = wire.gather("whether all ranks can use NCCL", own.version());
    double[] all = Arrays.stream(versions).mapToDouble(v -> v[0]).toArray();
    if (own.library == null) {
      return new NcclAgreement(null, own.refusal);
    }
    for (int rank = 0; rank < all.length; rank++) {
      if (all[rank] == 0) {
        return new NcclAgreement(null, "rank " + rank + " has no NCCL it can use");
      }
      if (all[rank] != all[0]) {
        return new NcclAgreement(
            null,
            "rank %d has NCCL %.0f and rank 0 has %.0f; install the same"
                .formatted(rank, all[rank], all[0]));
      }
    }
    return new NcclAgreement(own.library, "");
  }

  /**
   * A collective call: rank 0's id for all.
   *
   * @param id of rank 0; what the others give is not looked at
   */
  static byte[] shareId(Collective collective, byte[] id) {
    try (Buffer buffer = collective.buffer("nccl-id", NcclLibrary.ID_BYTES)) {
      Buffer.Slice all = buffer.slice(Payload.BYTES, 0, NcclLibrary.ID_BYTES);
      if (collective.rank() == 0) {
        all.segment().copyFrom(MemorySegment.ofArray(id));
      }
      collective.broadcast("NCCL's id", all, 0);
      return all.segment().toArray(ValueLayout.JAVA_BYTE);
    }
  }
}
