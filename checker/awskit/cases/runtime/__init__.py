"""What exported cases are made of: definitions.py copies what a case uses of these modules into one file, and no more.

So they import nothing but the standard library and each other, and every definition stands for itself.
"""
