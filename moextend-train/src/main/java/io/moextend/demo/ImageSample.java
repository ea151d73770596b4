package io.moextend.demo;

import java.util.List;

/**
 * A picture and what is said about it.
 *
 * @param id unique in its file; starts with the kind of the question, e.g. "colour-test-0003"
 * @param image the picture's file
 * @param turns the first question follows the picture
 */
public record ImageSample(String id, String image, List<Turn> turns) {
  public ImageSample {
    turns = List.copyOf(turns);
  }
}
