package io.moextend.comm.device;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.Card;
import io.moextend.comm.Collective;
import io.moextend.comm.PeerLostException;
import io.moextend.comm.Vigil;

/**
 * Collectives from card to card by NCCL, on a stream of their own beside the one that computes.
 *
 * <p>Ranks meet over the host's wire before each call: so a rank that is late or lost is named as
 * ever, and no card waits for one that does not come. While NCCL is at work the group is asked
 * whether it is whole; when it breaks, the call is ended.
 *
 * <p><b>Sums are not in the order of ranks.</b> NCCL adds along rings and trees that it chooses by
 * machine, size and version: two runs on the same cards usually give the same bits, another number
 * of hosts or another version may not, and the bits are not those of {@link HostWire}. A sum of
 * BF16 is rounded to BF16 at every hop; where that matters gradients travel as F32.
 */
public final class NcclWire implements DeviceWire {
  private final Backend backend;
  private final Card card;
  private final HostWire host;
  private final NcclLibrary nccl;
  private final Vigil vigil;
  private long communicator;

  /** How the ranks of a group are to talk. */
  public enum Wanted {
    /** By NCCL where all can, else by the host. */
    IF_POSSIBLE,
    /** By NCCL, or not at all. */
    REQUIRED
  }

  /**
   * What was opened.
   *
   * @param refusal why it is not NCCL, in one line; empty where it is
   */
  public record Opened(DeviceWire wire, String refusal) {}

  private NcclWire(
      Backend backend, Card card, HostWire host, NcclLibrary nccl, long communicator, Vigil vigil) {
    this.backend = backend;
    this.card = card;
    this.host = host;
    this.nccl = nccl;
    this.communicator = communicator;
    this.vigil = vigil;
  }

  /**
   * A collective call: all ranks get a wire of the same kind, which the caller closes.
   *
   * @param collective not owned: who made it closes it, after the wire
   * @param shared whether another rank of this host has the same card
   * @throws NcclException where it is required and cannot be had
   */
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static Opened open(
      Backend backend, Collective collective, boolean shared, Vigil vigil, Wanted wanted) {
    var host = new HostWire(backend, collective);
    NcclAgreement.Offer own =
        backend instanceof Card card
            ? NcclAgreement.Offer.of(card, shared)
            : new NcclAgreement.Offer(
                null, "backend %s is not on a card of NVIDIA's".formatted(backend.name()));
    NcclAgreement agreed = NcclAgreement.of(host, own);
    NcclLibrary library = agreed.library();
    if (library != null && backend instanceof Card card) {
      card.makeCurrent();
      byte[] id = new byte[NcclLibrary.ID_BYTES];
      byte[] common =
          NcclAgreement.shareId(collective, collective.rank() == 0 ? library.uniqueId() : id);
      long communicator = library.init(common, collective.world(), collective.rank());
      return new Opened(new NcclWire(backend, card, host, library, communicator, vigil), "");
    }
    if (wanted == Wanted.REQUIRED) {
      host.close();
      throw new NcclException("NCCL cannot be used: " + agreed.refusal());
    }
    return new Opened(host, agreed.refusal());
  }

  @Override
  public int rank() {
    return host.rank();
  }

  @Override
  public int world() {
    return host.world();
  }

  private record OnCard(Array array, Arena arena) implements Flat {
    @Override
    public void close() {
      arena.close();
    }
  }

  @Override
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the flat
  public Flat flat(String name, DType dtype, long length) {
    if (dtype != DType.F32 && dtype != DType.BF16 && dtype != DType.F64) {
      throw new IllegalArgumentException(dtype + " is not moved between ranks");
    }
    Arena arena = backend.arena(name);
    Array array = arena.allocate(dtype, length);
    backend.fillInto(array, 0);
    return new OnCard(array, arena);
  }

  /** The library's call with the card's addresses; {@code at} is the range's first byte. */
  private interface Call {
    void run(long at, long stream);
  }

  @Override
  public void allReduce(String what, Flat flat, long from, long to) {
    DType type = flat.array().dtype();
    run(
        what,
        flat,
        from,
        (at, stream) -> nccl.allReduce(at, at, to - from, type, communicator, stream));
  }

  @Override
  public void reduceScatter(String what, Flat flat, long from, long to) {
    DType type = flat.array().dtype();
    long each = part(from, to);
    long own = rank() * each * type.bytes();
    run(
        what,
        flat,
        from,
        (at, stream) -> nccl.reduceScatter(at, at + own, each, type, communicator, stream));
  }

  @Override
  public void allGather(String what, Flat flat, long from, long to) {
    DType type = flat.array().dtype();
    long each = part(from, to);
    long own = rank() * each * type.bytes();
    run(
        what,
        flat,
        from,
        (at, stream) -> nccl.allGather(at + own, at, each, type, communicator, stream));
  }

  /** Rank {@code root}'s range goes to all. */
  public void broadcast(String what, Flat flat, long from, long to, int root) {
    DType type = flat.array().dtype();
    run(
        what,
        flat,
        from,
        (at, stream) -> nccl.broadcast(at, at, to - from, type, root, communicator, stream));
  }

  private long part(long from, long to) {
    if ((to - from) % world() != 0) {
      throw new IllegalArgumentException(
          "%d elements do not divide among %d ranks; pad them".formatted(to - from, world()));
    }
    return (to - from) / world();
  }

  private void run(String what, Flat flat, long from, Call call) {
    Array array = ((OnCard) flat).array();
    card.makeCurrent();
    long at = card.address(array) + from * array.dtype().bytes();
    host.barrier(what);
    call.run(at, card.sideStream());
    try {
      await();
    } catch (PeerLostException | NcclException e) {
      abort();
      throw e;
    }
  }

  /** Until the side stream has done it, so that the caller may go on as with any other wire. */
  private void await() {
    int next = (rank() + 1) % world();
    int turns = 0;
    while (!card.sideStreamIsDone()) {
      if (++turns % 64 == 0) {
        vigil.waiting(next);
        nccl.requireSound(communicator);
        Thread.yield();
      } else {
        Thread.onSpinWait();
      }
    }
    nccl.requireSound(communicator);
  }

  private void abort() {
    if (communicator != 0) {
      long ended = communicator;
      communicator = 0;
      nccl.abort(ended);
    }
  }

  @Override
  public double[][] gather(String what, double... values) {
    return host.gather(what, values);
  }

  /** Flats lie in the backend's own memory. */
  @Override
  public long peakBytes() {
    return 0;
  }

  @Override
  public long lateNanos() {
    return host.lateNanos();
  }

  @Override
  public void barrier(String what) {
    host.barrier(what);
  }

  @Override
  public void close() {
    if (communicator != 0) {
      card.makeCurrent();
      long ended = communicator;
      communicator = 0;
      nccl.destroy(ended);
    }
    host.close();
  }
}
