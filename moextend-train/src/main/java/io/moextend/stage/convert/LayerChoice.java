package io.moextend.stage.convert;

import io.moextend.config.ConfigException;
import java.util.Collections;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Which layers get experts.
 *
 * @param text {@code odd}, {@code all}, or their numbers from 0 on: {@code 1,3,5}
 */
public record LayerChoice(String text) {
  private static final String OPTION = "--layers";

  /** Layers 1, 3, 5 …: those that the published classes build with experts. */
  static SortedSet<Integer> odd(int layers) {
    return IntStream.range(0, layers)
        .filter(layer -> layer % 2 == 1)
        .boxed()
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /**
   * @param layers of the model
   * @throws ConfigException where none is chosen, one twice, or one that the model does not have
   */
  SortedSet<Integer> of(int layers) {
    SortedSet<Integer> chosen =
        switch (text) {
          case "odd" -> odd(layers);
          case "all" ->
              IntStream.range(0, layers).boxed().collect(Collectors.toCollection(TreeSet::new));
          default -> listed(layers);
        };
    if (chosen.isEmpty()) {
      throw new ConfigException(
          OPTION, text, "chooses none of the model's %d; name some: --layers 0".formatted(layers));
    }
    return Collections.unmodifiableSortedSet(chosen);
  }

  private SortedSet<Integer> listed(int layers) {
    var chosen = new TreeSet<Integer>();
    for (String number : text.split(",", -1)) {
      if (!number.strip().matches("\\d{1,9}")) {
        throw new ConfigException(OPTION, text, "write odd, all, or numbers such as 1,3,5");
      }
      int layer = Integer.parseInt(number.strip());
      if (layer >= layers) {
        throw new ConfigException(
            OPTION,
            text,
            "there is no layer %d; the model has 0 to %d".formatted(layer, layers - 1));
      }
      if (!chosen.add(layer)) {
        throw new ConfigException(OPTION, text, "name layer " + layer + " once");
      }
    }
    return chosen;
  }
}
