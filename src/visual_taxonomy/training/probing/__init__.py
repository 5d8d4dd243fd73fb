"""`vtax probe`: what simple methods make of the features of a frozen backbone."""
