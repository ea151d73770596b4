package io.moextend.demo;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SequencedMap;
import java.util.stream.Stream;

/**
 * A text of a dozen words or less, most of whose nouns are of one topic, its adjectives of one
 * mood, with one person in it.
 *
 * @param words with spaces between them
 */
record PromptedText(String words, String topic, String mood, String person) {
  private static final SequencedMap<String, List<String>> NOUNS = new LinkedHashMap<>();
  private static final SequencedMap<String, List<String>> ADJECTIVES = new LinkedHashMap<>();

  static {
    NOUNS.put("animals", split("cat dog cow duck sheep owl frog lion"));
    NOUNS.put("food", split("bread soup cake rice cheese apple plum milk"));
    NOUNS.put("weather", split("rain snow wind storm fog cloud frost hail"));
    NOUNS.put("music", split("song drum flute choir tune violin band bell"));
    ADJECTIVES.put("good", split("lovely happy fine sweet bright kind"));
    ADJECTIVES.put("bad", split("awful sad poor nasty grim cruel"));
  }

  static final List<String> TOPICS = List.copyOf(NOUNS.keySet());
  static final List<String> MOODS = List.copyOf(ADJECTIVES.keySet());
  static final List<String> PEOPLE = List.of("tom", "anna", "sam", "lily");
  private static final List<String> FILLERS =
      split("saw heard had found near after with again today once there was some");

  /** Of ten nouns, how many are of another topic: not every text is easy. */
  private static final double STRAY = 0.15;

  private static List<String> split(String words) {
    return List.of(words.split(" "));
  }

  static PromptedText draw(Random random) {
    String topic = one(random, TOPICS);
    String mood = one(random, MOODS);
    String person = one(random, PEOPLE);
    var words = new ArrayList<String>();
    int clauses = 3 + random.nextInt(2);
    int named = random.nextInt(clauses);
    for (int i = 0; i < clauses; i++) {
      words.add(i == named ? person : one(random, FILLERS));
      words.add(one(random, random.nextDouble() < 0.6 ? list(ADJECTIVES, mood) : FILLERS));
      String about = random.nextDouble() < STRAY ? one(random, TOPICS) : topic;
      words.add(one(random, list(NOUNS, about)));
    }
    return new PromptedText(String.join(" ", words), topic, mood, person);
  }

  private static List<String> list(Map<String, List<String>> words, String of) {
    List<String> found = words.get(of);
    if (found == null) {
      throw new IllegalStateException("no words for " + of);
    }
    return found;
  }

  private static String one(Random random, List<String> words) {
    return words.get(random.nextInt(words.size()));
  }

  /** Every word that texts are made of, and those of their answers. */
  static Stream<String> vocabulary() {
    return Stream.of(
            NOUNS.keySet().stream(),
            NOUNS.values().stream().flatMap(List::stream),
            ADJECTIVES.keySet().stream(),
            ADJECTIVES.values().stream().flatMap(List::stream),
            PEOPLE.stream(),
            FILLERS.stream())
        .flatMap(words -> words);
  }
}
