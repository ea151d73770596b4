package io.moextend.shard;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.DeviceWire;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One flat unit a layer, of which this rank keeps its piece, and room for two of them to be whole:
 * one that is used and one that is on its way.
 */
final class GatheredUnits implements AutoCloseable {
  private static final int NOWHERE = -1;

  private final Backend backend;
  private final Conversation conversation;
  private final String kind;
  private final DType dtype;
  private final List<FlatUnit> units;
  private final List<Array> pieces = new ArrayList<>();
  private final List<DeviceWire.Flat> slots = new ArrayList<>();
  private final Conversation.@Nullable Ticket[] onTheWay;
  private final int[] slotOf;

  /**
   * Takes this rank's pieces from the weights as they are now. A collective call.
   *
   * @param kind of weights, in messages
   * @param arena owns the pieces
   * @param units by layer
   */
  @SuppressWarnings("MustBeClosedChecker") // the flats are closed with this
  GatheredUnits(
      Backend backend,
      Conversation conversation,
      Arena arena,
      String kind,
      DType dtype,
      List<FlatUnit> units) {
    this.backend = backend;
    this.conversation = conversation;
    this.kind = kind;
    this.dtype = dtype;
    this.units = List.copyOf(units);
    this.onTheWay = new Conversation.@Nullable Ticket[units.size()];
    this.slotOf = new int[units.size()];
    Arrays.fill(slotOf, NOWHERE);
    for (FlatUnit unit : units) {
      Array piece = arena.allocate(dtype, unit.length() / conversation.world());
      backend.fillInto(piece, 0);
      take(unit, piece);
      pieces.add(piece);
    }
    long longest = units.stream().mapToLong(FlatUnit::length).max().orElse(0);
    long filled = units.stream().filter(u -> !u.isEmpty()).count();
    for (int i = 0; i < Math.min(2, filled); i++) {
      slots.add(conversation.flat(kind + "-weights." + i, dtype, longest));
    }
  }

  private void take(FlatUnit unit, Array piece) {
    long first = conversation.rank() * piece.size();
    for (FlatUnit.Place place : unit.places()) {
      long from = Math.max(place.from(), first);
      long to = Math.min(place.to(), first + piece.size());
      if (from < to) {
        Array whole = place.parameter().initial().reshape(place.parameter().size());
        backend.copyInto(
            piece.slice(from - first, to - first),
            whole.slice(from - place.from(), to - place.from()));
      }
    }
  }

  /** This rank's piece; null where the layer has none of this kind. */
  @Nullable Array piece(int layer) {
    return units.get(layer).isEmpty() ? null : pieces.get(layer);
  }

  FlatUnit unit(int layer) {
    return units.get(layer);
  }

  /** Has a layer's unit gathered some time; at most two are here or on their way. */
  void start(int layer) {
    FlatUnit unit = units.get(layer);
    if (unit.isEmpty()) {
      return;
    }
    int slot = free();
    DeviceWire.Flat flat = slots.get(slot);
    Array piece = pieces.get(layer);
    long first = conversation.rank() * piece.size();
    backend.copyInto(flat.array().slice(first, first + piece.size()), piece);
    backend.synchronize();
    slotOf[layer] = slot;
    onTheWay[layer] =
        conversation.allGather(
            "%s weights of layer %d".formatted(kind, layer), flat, 0, unit.length());
  }

  private int free() {
    for (int slot = 0; slot < slots.size(); slot++) {
      int wanted = slot;
      if (Arrays.stream(slotOf).noneMatch(s -> s == wanted)) {
        return slot;
      }
    }
    throw new IllegalStateException(
        "a third layer's %s weights before one was left".formatted(kind));
  }

  /** Returns when the layer's weights are in place. */
  void land(int layer) {
    Conversation.Ticket ticket = onTheWay[layer];
    if (ticket == null) {
      return;
    }
    ticket.await();
    onTheWay[layer] = null;
    Array flat = slots.get(slotOf[layer]).array();
    for (FlatUnit.Place place : units.get(layer).places()) {
      place.parameter().place(place.in(flat));
    }
  }

  /** The layer's weights are not used any more. */
  void release(int layer) {
    for (FlatUnit.Place place : units.get(layer).places()) {
      place.parameter().evict();
    }
    slotOf[layer] = NOWHERE;
  }

  /** Whole copies of a layer's weights, to stay until {@link #release}. */
  void copyOut(int layer, Arena to) {
    start(layer);
    land(layer);
    for (FlatUnit.Place place : units.get(layer).places()) {
      Array copy = to.allocate(dtype, place.parameter().shape());
      backend.copyInto(copy, place.parameter().data());
      place.parameter().place(copy);
    }
    slotOf[layer] = NOWHERE;
  }

  /** Elements of all pieces and of the room for whole units, in bytes. */
  long bytes() {
    long elements = pieces.stream().mapToLong(Array::size).sum();
    elements += slots.stream().mapToLong(s -> s.array().size()).sum();
    return elements * dtype.bytes();
  }

  @Override
  public void close() {
    slots.forEach(DeviceWire.Flat::close);
  }
}
