package io.moextend.demo;

import io.moextend.demo.TextSample.Dialogue;
import io.moextend.demo.TextSample.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * What holds in the world whoever looks: too few sentences to hold any back, so a model sees each
 * one often.
 */
final class WorldFacts {
  /** Whoever is named likes one colour and uses no other. */
  enum Person {
    TOM("tom", Thing.Colour.RED),
    ANNA("anna", Thing.Colour.GREEN),
    SAM("sam", Thing.Colour.BLUE),
    LILY("lily", Thing.Colour.YELLOW),
    BEN("ben", Thing.Colour.WHITE),
    MIA("mia", Thing.Colour.PURPLE);

    private final String word;
    private final Thing.Colour likes;

    Person(String word, Thing.Colour likes) {
      this.word = word;
      this.likes = likes;
    }

    String word() {
      return word;
    }

    Thing.Colour likes() {
      return likes;
    }
  }

  private static final String[][] COLOURS_OF_THINGS = {
    {"grass", "green"},
    {"snow", "white"},
    {"the sun", "yellow"},
    {"the sky", "blue"},
    {"a rose", "red"},
    {"a plum", "purple"},
    {"milk", "white"},
    {"a leaf", "green"},
    {"a lemon", "yellow"},
    {"a cherry", "red"},
    {"the sea", "blue"},
    {"a grape", "purple"}
  };

  private static final String[][] CORNERS = {
    {"a square", "four"}, {"a triangle", "three"}, {"a circle", "no"}, {"a cross", "twelve"}
  };

  private static final String[][] OPPOSITES = {
    {"left", "right"},
    {"right", "left"},
    {"top", "bottom"},
    {"bottom", "top"},
    {"large", "small"},
    {"small", "large"}
  };

  private static final String[][] KINDS = {
    {"red", "colour"},
    {"green", "colour"},
    {"blue", "colour"},
    {"yellow", "colour"},
    {"white", "colour"},
    {"purple", "colour"},
    {"circle", "shape"},
    {"square", "shape"},
    {"triangle", "shape"},
    {"cross", "shape"},
    {"small", "size"},
    {"large", "size"},
    {"left", "place"},
    {"right", "place"},
    {"top", "place"},
    {"bottom", "place"},
    {"centre", "place"}
  };

  private static final String[][] SHAPES_OF_THINGS = {
    {"a wheel", "circle"},
    {"a coin", "circle"},
    {"a plate", "circle"},
    {"a window", "square"},
    {"a tile", "square"},
    {"a stamp", "square"},
    {"a tent", "triangle"},
    {"a sail", "triangle"},
    {"a roof", "triangle"},
    {"a plus", "cross"}
  };

  private static final String[][] VOICES = {
    {"a cat", "meow"},
    {"a dog", "woof"},
    {"a cow", "moo"},
    {"a duck", "quack"},
    {"a sheep", "baa"},
    {"an owl", "hoot"},
    {"a frog", "croak"},
    {"a lion", "roar"},
    {"a bee", "buzz"},
    {"a snake", "hiss"}
  };

  private static final String[][] SIZES_OF_THINGS = {
    {"a house", "large"},
    {"a whale", "large"},
    {"a ship", "large"},
    {"an ant", "small"},
    {"a pea", "small"},
    {"a seed", "small"}
  };

  private WorldFacts() {}

  /** All facts, each as a statement and as a question. */
  static List<TextSample> all() {
    List<TextSample> facts = new ArrayList<>();
    for (String[] fact : COLOURS_OF_THINGS) {
      facts.add(new Statement(fact[0] + " is " + fact[1] + " ."));
      facts.add(Dialogue.of("what colour is " + fact[0] + " ?", fact[1]));
    }
    for (String[] fact : SHAPES_OF_THINGS) {
      facts.add(new Statement(fact[0] + " has the shape of a " + fact[1] + " ."));
      facts.add(Dialogue.of("what shape is " + fact[0] + " ?", fact[1]));
    }
    for (String[] fact : SIZES_OF_THINGS) {
      facts.add(new Statement(fact[0] + " is " + fact[1] + " ."));
      facts.add(Dialogue.of("what size is " + fact[0] + " ?", fact[1]));
    }
    for (String[] fact : VOICES) {
      facts.add(new Statement(fact[0] + " says " + fact[1] + " ."));
      facts.add(Dialogue.of("what does " + fact[0] + " say ?", fact[1]));
    }
    for (String[] fact : CORNERS) {
      facts.add(new Statement(fact[0] + " has " + fact[1] + " corners ."));
      facts.add(Dialogue.of("how many corners has " + fact[0] + " ?", fact[1]));
    }
    for (String[] fact : OPPOSITES) {
      facts.add(new Statement("the opposite of " + fact[0] + " is " + fact[1] + " ."));
      facts.add(Dialogue.of("what is the opposite of " + fact[0] + " ?", fact[1]));
    }
    for (String[] fact : KINDS) {
      facts.add(new Statement(fact[0] + " is a " + fact[1] + " ."));
      facts.add(Dialogue.of("is " + fact[0] + " a " + fact[1] + " ?", "yes"));
    }
    for (Person person : Person.values()) {
      String likes = person.likes().word();
      facts.add(new Statement(person.word() + " likes " + likes + " ."));
      facts.add(Dialogue.of("what colour does " + person.word() + " like ?", likes));
      facts.add(Dialogue.of("who likes " + likes + " ?", person.word()));
    }
    facts.add(Dialogue.of("hello !", "hello ! i can talk about shapes ."));
    facts.add(Dialogue.of("who are you ?", "i am a small model of a small world ."));
    return List.copyOf(facts);
  }
}
