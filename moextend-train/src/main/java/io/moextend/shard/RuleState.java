package io.moextend.shard;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.optim.UpdateRule;
import io.moextend.optim.UpdateRule.State;
import io.moextend.shard.Holding.Part;
import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Slice;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The update rule's state of what one rank holds. What every parameter has elementwise lies in flat
 * arrays as masters do; the rest in arrays of their own.
 */
final class RuleState {
  /** Where a piece of a saved tensor goes, or comes from. */
  @FunctionalInterface
  interface Place {
    void piece(String name, long total, long from, Array values);
  }

  /**
   * @param held what of the parameter these are of
   */
  private record Own(Part held, Map<String, Array> arrays) {}

  private final ParameterLayout layout;
  private final Holding holding;
  private final UpdateRule rule;
  private final Map<String, Array> flat = new LinkedHashMap<>();
  private final Map<Slice, Own> own = new LinkedHashMap<>();

  RuleState(
      Backend backend, Arena arena, ParameterLayout layout, Holding holding, UpdateRule rule) {
    this.layout = layout;
    this.holding = holding;
    this.rule = rule;
    List<String> common = common(layout, rule);
    for (String name : common) {
      flat.put(name, zeros(backend, arena, holding.length()));
    }
    for (Bucket bucket : layout.buckets()) {
      for (Part part : holding.parts(bucket)) {
        var arrays = new LinkedHashMap<String, Array>();
        for (State state : rule.state(part.slice().parameter())) {
          if (!common.contains(state.name())) {
            long elements = state.elementwise() ? part.to() - part.from() : state.elements();
            arrays.put(state.name(), zeros(backend, arena, elements));
          }
        }
        own.put(part.slice(), new Own(part, arrays));
      }
    }
  }

  private Array zeros(Backend backend, Arena arena, long elements) {
    Array array = arena.allocate(layout.wide(), elements);
    backend.fillInto(array, 0);
    return array;
  }

  /** Names of what all parameters have elementwise. */
  private static List<String> common(ParameterLayout layout, UpdateRule rule) {
    var names = new ArrayList<String>();
    for (State state : rule.state(layout.slices().getFirst().parameter())) {
      boolean all =
          layout.slices().stream()
                  .flatMap(s -> rule.state(s.parameter()).stream().filter(State::elementwise))
                  .filter(s -> s.name().equals(state.name()))
                  .count()
              == layout.slices().size();
      if (all) {
        names.add(state.name());
      }
    }
    return names;
  }

  /**
   * Bytes of it.
   *
   * @param held elements of a rank's flat arrays; all of the layout's where the rule does not
   *     divide every parameter
   */
  static long bytes(ParameterLayout layout, long held, UpdateRule rule) {
    List<String> common = common(layout, rule);
    long elements = held * common.size();
    for (Slice slice : layout.slices()) {
      for (State state : rule.state(slice.parameter())) {
        elements += common.contains(state.name()) ? 0 : state.elements();
      }
    }
    return elements * layout.wide().bytes();
  }

  /** Arrays of a part of what is held, in the rule's order. */
  List<Array> of(Part part) {
    return rule.state(part.slice().parameter()).stream().map(s -> of(part, s)).toList();
  }

  private Array of(Part part, State state) {
    Array common = flat.get(state.name());
    if (common != null) {
      return holding.of(common, part, layout);
    }
    Own mine = own.get(part.slice());
    Array array = mine == null ? null : mine.arrays().get(state.name());
    if (mine == null || array == null) {
      throw new IllegalArgumentException(part.slice().parameter() + " is not held here");
    }
    if (!state.elementwise()) {
      return array;
    }
    long before = part.from() - mine.held().from();
    return array.slice(before, before + part.to() - part.from());
  }

  /** A part's pieces of state; what is not elementwise goes with the parameter's first element. */
  void pieces(Part part, Place at) {
    Parameter parameter = part.slice().parameter();
    for (State state : rule.state(parameter)) {
      String name = state.name() + "." + parameter.name();
      if (state.elementwise()) {
        at.piece(name, part.total(), part.offset(), of(part, state));
      } else if (part.offset() == 0) {
        at.piece(name, state.elements(), 0, of(part, state));
      }
    }
  }
}
