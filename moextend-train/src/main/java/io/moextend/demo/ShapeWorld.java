package io.moextend.demo;

import io.moextend.config.ConfigException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * The world of one seed: which of the 240 things (6 colours, 4 shapes, 2 sizes, 5 places) are only
 * seen in the test, how each picture looks, and what is written about them.
 *
 * <p>For every colour, shape and size exactly one place is kept for the test, so that each colour,
 * shape and size is equally frequent there, and a model that answers was not shown that thing.
 */
public final class ShapeWorld {
  private static final int TEST_THINGS = Thing.KINDS / 5;

  private final long seed;
  private final List<Scene> trainScenes;
  private final List<Scene> testScenes;

  public ShapeWorld(long seed) {
    this.seed = seed;
    List<Scene> train = new ArrayList<>();
    List<Scene> test = new ArrayList<>();
    List<Integer> places = new ArrayList<>(List.of(0, 1, 2, 3, 4));
    Collections.shuffle(places, random("places"));
    for (int kind = 0; kind < Thing.KINDS; kind++) {
      Thing thing = Thing.ofKind(kind);
      int other = kind % TEST_THINGS; // number of the colour, shape and size
      boolean kept = places.get(other % 5) == thing.position().ordinal();
      (kept ? test : train).add(Scene.of(thing));
    }
    trainScenes = List.copyOf(train);
    testScenes = List.copyOf(test);
  }

  public List<Scene> trainScenes() {
    return trainScenes;
  }

  public List<Scene> testScenes() {
    return testScenes;
  }

  /** Pictures to train on; every training scene before one comes again. */
  public PictureSet trainPictures(int count) {
    return pictures("train", trainScenes, count);
  }

  /** Pictures of scenes that no training picture shows. */
  public PictureSet testPictures(int count) {
    return pictures("test", testScenes, count);
  }

  /**
   * @see TextCorpus
   */
  public TextCorpus text(int statements, int dialogues, double heldOutShare) {
    return TextCorpus.of(random("text"), statements, dialogues, heldOutShare);
  }

  private PictureSet pictures(String name, List<Scene> scenes, int count) {
    if (count < 1 || count > 10_000) {
      throw new ConfigException(name + "Pictures", count, "draw 1 to 10000");
    }
    Random random = random(name);
    List<Scene> order = new ArrayList<>(scenes);
    List<Picture> pictures = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      if (i % order.size() == 0) {
        Collections.shuffle(order, random);
      }
      String file = "images/%s-%04d.png".formatted(name, i);
      pictures.add(new Picture(file, order.get(i % order.size()), random.nextLong()));
    }
    return new PictureSet(name, pictures);
  }

  /** A stream of its own for each purpose, so that more of one thing changes nothing else. */
  private Random random(String purpose) {
    return new Random(seed * 0x9E3779B97F4A7C15L + purpose.hashCode());
  }
}
