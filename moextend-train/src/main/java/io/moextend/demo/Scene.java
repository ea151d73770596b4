package io.moextend.demo;

import java.util.List;

/** What a picture shows: one thing, or two small ones of different shape at opposite sides. */
public record Scene(List<Thing> things) {
  public Scene {
    things = List.copyOf(things);
    if (things.isEmpty() || things.size() > 2) {
      throw new IllegalArgumentException("a scene has one or two things, not " + things.size());
    }
    if (things.size() == 2) {
      Thing first = things.getFirst();
      Thing second = things.getLast();
      if (first.size() != Thing.Size.SMALL
          || second.size() != Thing.Size.SMALL
          || first.shape() == second.shape()
          || !first.position().isOpposite(second.position())) {
        throw new IllegalArgumentException(
            "two things are small, of different shape and at opposite sides: " + things);
      }
    }
  }

  public static Scene of(Thing... things) {
    return new Scene(List.of(things));
  }

  /** "a small red circle on the left and a small blue cross on the right". */
  public String description() {
    return String.join(" and ", things.stream().map(Thing::description).toList());
  }
}
