"""What a run says of itself: console, JSON, JUnit and HTML, all made from events and from the result dictionary."""
