package io.moextend.data;

import io.moextend.text.Part;
import java.util.ArrayList;
import java.util.List;

/**
 * One conversation about some images, or none.
 *
 * @param file it came from
 * @param number in that file, from 1
 * @param id its own name; empty where it has none
 * @param turns the first is the user's
 */
public record Sample(String file, long number, String id, List<Turn> turns) {
  /** Who speaks. */
  public enum Role {
    USER,
    ASSISTANT
  }

  /**
   * @param parts words and images in reading order
   */
  public record Turn(Role role, List<Part> parts) {
    public Turn {
      parts = List.copyOf(parts);
    }

    /** Paths of its images, in order, as the dataset writes them. */
    public List<String> images() {
      List<String> paths = new ArrayList<>();
      for (Part part : parts) {
        switch (part) {
          case Part.Words _ -> {}
          case Part.Image(String path) -> paths.add(path);
        }
      }
      return paths;
    }
  }

  public Sample {
    turns = List.copyOf(turns);
    String where = where(file, number, id);
    if (turns.isEmpty()) {
      throw DataException.at(
          where, "it has no turns; give \"conversations\" at least one, or take it out", null);
    }
    if (turns.getFirst().role() != Role.USER) {
      throw DataException.at(
          where, "its first turn is the assistant's; begin with the user's", null);
    }
    for (Turn turn : turns) {
      if (turn.role() == Role.ASSISTANT && !turn.images().isEmpty()) {
        throw DataException.at(
            where, "the assistant's turn holds an image; images belong to the user's turns", null);
      }
    }
  }

  /** How errors name it. */
  public String where() {
    return where(file, number, id);
  }

  static String where(String file, long number, String id) {
    return "%s: sample %d%s".formatted(file, number, id.isEmpty() ? "" : " (id " + id + ")");
  }

  /** Paths of all images, in order, as the dataset writes them. */
  public List<String> images() {
    return turns.stream().flatMap(turn -> turn.images().stream()).toList();
  }
}
