package io.moextend.data;

import io.moextend.text.ImagePlaces;
import io.moextend.text.Part;
import java.util.ArrayList;
import java.util.List;

/**
 * One conversation about some images, or none.
 *
 * @param file it came from
 * @param number in that file, from 1
 * @param id its own name; empty where it has none
 * @param turns the first is the user's, or with {@link KeptTurns#ALL_BEHIND_AN_ANSWER} the second
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

    /** Its words, with {@code <image>} at the places of images. */
    public String text() {
      StringBuilder text = new StringBuilder();
      for (Part part : parts) {
        switch (part) {
          case Part.Words(String words) -> text.append(words);
          case Part.Image _ -> text.append(ImagePlaces.MARK);
        }
      }
      return text.toString();
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
    boolean led = turns.size() > 1 && turns.get(1).role() == Role.USER;
    if (turns.getFirst().role() != Role.USER && !led) {
      throw DataException.at(
          where, "it has no question behind the assistant's; begin with the user's", null);
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

  /** The turns without an answer that no question led to. */
  public List<Turn> fromFirstQuestion() {
    return turns.getFirst().role() == Role.USER ? turns : turns.subList(1, turns.size());
  }

  /**
   * Words of all turns, set apart by white space and {@code <image>} counted as written: positive
   * of a sample with images, negative of one without.
   */
  public int modalityLength() {
    int words = turns.stream().mapToInt(turn -> PythonText.words(turn.text())).sum();
    return images().isEmpty() ? -Math.max(1, words) : words;
  }

  /** Paths of all images, in order, as the dataset writes them. */
  public List<String> images() {
    return turns.stream().flatMap(turn -> turn.images().stream()).toList();
  }
}
