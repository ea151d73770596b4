package io.moextend.demo;

import io.moextend.demo.TextSample.Dialogue;
import io.moextend.demo.TextSample.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * Makes up sentences and dialogues about scenes nobody drew. The dialogues teach a model of text
 * alone what the vision stages build on: to answer in one word, and to read what is there from
 * loose words in front of the question, where later the patches of a picture stand.
 */
final class Narrator {
  private static final String[] VERBS = {"sees", "draws", "finds", "wants"};
  private static final String[] PLACES = {"picture", "page", "wall", "box"};
  private static final int MOST_LOOSE_WORDS = 14;

  private final Random random;

  Narrator(Random random) {
    this.random = random;
  }

  Statement statement() {
    Thing thing = thing();
    return new Statement(
        switch (random.nextInt(8)) {
          case 0 -> "there is " + thing.description() + " .";
          case 1 -> "the " + pick(PLACES) + " shows " + thing.description() + " .";
          case 2 -> "there is " + pair().description() + " .";
          case 3 -> comparison();
          case 4 -> deed() + " .";
          case 5 -> deed() + " and " + deed() + " .";
          case 6 -> "the " + thing.name() + " is " + thing.position().phrase() + " .";
          default ->
              "the "
                  + thing.shape().word()
                  + " "
                  + thing.position().phrase()
                  + " of the "
                  + pick(PLACES)
                  + " is "
                  + thing.size().word()
                  + " and "
                  + thing.colour().word()
                  + " .";
        });
  }

  Dialogue dialogue() {
    Thing thing = thing();
    return switch (random.nextInt(10)) {
      case 0 -> asked("there is " + thing.description() + " .", thing, 1);
      case 1 -> asked("there is " + thing.description() + " .", thing, 2 + random.nextInt(3));
      case 2, 3 -> asked(looseWords(thing), thing, 1);
      case 4, 5 -> asked(looseWords(thing), thing, 2 + random.nextInt(3));
      case 6 -> Dialogue.of(looseWords(thing) + " describe the image .", thing.description());
      case 7 ->
          Dialogue.of(
              "there is " + thing.description() + " . describe the image .", thing.description());
      case 8 -> askedAboutOneOfTwo();
      default -> yesOrNo(thing);
    };
  }

  /** A thing of a picture among words for the dark around it, in any order, some of them twice. */
  private String looseWords(Thing thing) {
    List<String> words = new ArrayList<>();
    for (Question question : Question.values()) {
      for (int n = 1 + random.nextInt(2); n > 0; n--) {
        words.add(question.answer(thing));
      }
    }
    int length = words.size() + random.nextInt(MOST_LOOSE_WORDS - words.size() + 1);
    while (words.size() < length) {
      words.add("dark");
    }
    Collections.shuffle(words, random);
    return String.join(" ", words);
  }

  private Dialogue asked(String context, Thing thing, int questions) {
    List<Question> order = new ArrayList<>(List.of(Question.values()));
    Collections.shuffle(order, random);
    List<Turn> turns = new ArrayList<>();
    for (Question question : order.subList(0, questions)) {
      String lead = turns.isEmpty() ? context + " " : "";
      turns.add(new Turn(lead + question.text(), question.answer(thing)));
    }
    return new Dialogue(turns);
  }

  private Dialogue askedAboutOneOfTwo() {
    Scene scene = pair();
    Thing thing = scene.things().get(random.nextInt(2));
    Question question = random.nextBoolean() ? Question.COLOUR : Question.POSITION;
    return Dialogue.of(
        "there is " + scene.description() + " . " + question.textAbout(thing),
        question.answer(thing));
  }

  private Dialogue yesOrNo(Thing thing) {
    boolean yes = random.nextBoolean();
    Thing.Colour asked = thing.colour();
    while (!yes && asked == thing.colour()) {
      asked = pick(Thing.Colour.values());
    }
    return Dialogue.of(
        "there is " + thing.description() + " . is it " + asked.word() + " ?", yes ? "yes" : "no");
  }

  private String comparison() {
    Thing.Colour one = pick(Thing.Colour.values());
    Thing.Colour other = pick(Thing.Colour.values());
    String large = "large " + one.word() + " " + pick(Thing.Shape.values()).word();
    String small = "small " + other.word() + " " + pick(Thing.Shape.values()).word();
    return random.nextBoolean()
        ? "the " + large + " is bigger than the " + small + " ."
        : "the " + small + " is smaller than the " + large + " .";
  }

  /** Everybody keeps to the colour they like. */
  private String deed() {
    WorldFacts.Person person = pick(WorldFacts.Person.values());
    Thing some = thing();
    Thing own = new Thing(some.size(), person.likes(), some.shape(), some.position());
    return person.word() + " " + pick(VERBS) + " " + own.description();
  }

  private Scene pair() {
    Thing first = thing();
    while (first.position() == Thing.Position.CENTRE) {
      first = thing();
    }
    Thing second = thing();
    while (second.shape() == first.shape() || !second.position().isOpposite(first.position())) {
      second = thing();
    }
    return Scene.of(small(first), small(second));
  }

  private static Thing small(Thing thing) {
    return new Thing(Thing.Size.SMALL, thing.colour(), thing.shape(), thing.position());
  }

  private Thing thing() {
    return Thing.ofKind(random.nextInt(Thing.KINDS));
  }

  private <T> T pick(T[] from) {
    return from[random.nextInt(from.length)];
  }
}
